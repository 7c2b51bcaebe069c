from __future__ import annotations

import subprocess
import sys

import pytest

THREADS = 24
_PROGRAM = f"""
import ctypes, sys, threading
from edgewatch.daemon.allocator import bound_arenas
if len(sys.argv) > 1 and not bound_arenas():
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


def heaps(*arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, timeout=60
    )
    if done.returncode == 3 or "Arena" not in done.stderr:
        pytest.skip("the C library is not glibc")
    return sum(line.startswith("Arena") for line in done.stderr.splitlines())


def test_many_threads_share_few_heaps() -> None:
    assert heaps("bounded") <= 2 < heaps()
