"""Memory: of this process and its children."""

from __future__ import annotations

import os
import subprocess
import sys

from edgewatch.tools.evaluation.memory import begin_peak, descendants, gpu_peak_bytes, peak_bytes

MIB = 1 << 20


def test_peak_holds_what_was_taken_meanwhile_and_children() -> None:
    begin_peak()
    before = peak_bytes()
    assert before > MIB
    taken = bytearray(64 * MIB)
    taken[::4096] = b"\1" * len(taken[::4096])
    del taken
    assert peak_bytes() >= before + 32 * MIB
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in descendants(os.getpid())
        child.communicate(b"\n")
    assert child.pid not in descendants(os.getpid())


def test_gpu_memory_is_none_or_a_size() -> None:
    size = gpu_peak_bytes()
    assert size is None or size > 0
