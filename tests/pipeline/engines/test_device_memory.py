"""What a CPU's allocator holds on to is given back when much has come together."""

from __future__ import annotations

import numpy as np

from edgewatch.pipeline.engines.device_memory import HostMemory, resident_bytes

MIB = 2**20


def test_resident_memory_is_what_the_process_holds() -> None:
    before = resident_bytes()
    held = np.ones(64 * MIB, np.uint8)
    assert 56 * MIB < resident_bytes() - before < 128 * MIB
    assert held.any()


def test_memory_is_given_back_only_when_much_has_come_together() -> None:
    memory = HostMemory(slack_bytes=32 * MIB)
    assert memory.settle()  # what is there at the beginning
    assert not memory.settle()
    held = np.ones(64 * MIB, np.uint8)
    assert held.any()
    assert memory.settle()
    assert not memory.settle()
