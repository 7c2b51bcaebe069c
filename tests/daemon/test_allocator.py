from __future__ import annotations

import subprocess
import sys

import pytest

THREADS = 24
_HEAPS = f"""
import ctypes, sys, threading
from edgewatch.daemon.allocator import bound_heaps
if len(sys.argv) > 1 and not bound_heaps():
    sys.exit(3)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier({THREADS})
def work():
    together.wait()
    for _ in range(200):
        libc.malloc(3000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range({THREADS})]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.malloc_stats()
"""
_BURST = """
import ctypes, sys
from pathlib import Path
import numpy as np
from edgewatch.daemon.allocator import bound_heaps
if len(sys.argv) > 1 and not bound_heaps():
    sys.exit(3)
if not hasattr(ctypes.CDLL(None), "mallopt"):
    sys.exit(3)
def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
del (block := [np.ones(8 << 20, np.uint8)])[:]  # what makes glibc raise the bound
before = resident_bytes()
frames, small = [], []
for _ in range(200):
    frames.append(np.ones(190_512, np.uint8))
    small.append(np.ones(2000, np.uint8))  # what outlives the burst, between its frames
frames.clear()
del small[:-1]
print(resident_bytes() - before)
"""


def ran(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60
    )
    if done.returncode == 3:
        pytest.skip("the C library is not glibc")
    assert done.returncode == 0, done.stderr
    return done


def heaps(*arguments: str) -> int:
    done = ran(_HEAPS, *arguments)
    return sum(line.startswith("Arena") for line in done.stderr.splitlines())


def left_by_a_burst_bytes(*arguments: str) -> int:
    return int(ran(_BURST, *arguments).stdout)


def test_many_threads_share_few_heaps() -> None:
    assert heaps("bounded") <= 2 < heaps()


def test_a_burst_of_frames_leaves_nothing_behind() -> None:
    frames_bytes = 200 * 190_512
    assert left_by_a_burst_bytes("bounded") < 0.1 * frames_bytes
    assert left_by_a_burst_bytes() > 0.5 * frames_bytes  # else the bound serves nothing
