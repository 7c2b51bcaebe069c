"""The C library's memory allocator, set for a process that runs for months with many threads."""

from __future__ import annotations

import ctypes

# malloc.h
_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3

ARENAS = 2
"""glibc gives each thread a heap of its own, up to eight a core: what is freed in one is of no use
to another, and each keeps its own high-water mark. Decoding allocates seldom, so few will do."""
MAPPED_FROM_BYTES = 128 * 1024
"""From this size on a block is mapped on its own and goes back to the system when it is freed.

It is where glibc starts, but it raises the bound, up to 32 MB, with each larger block that is
freed. Then sampled frames (190 kB) lie among small blocks on a heap, and a burst of queued clips
leaves it as long as it ever was. Fixing the bound costs a page fault for each 4 kB of such a frame:
some 10 microseconds, 4 times a second.
"""


def bound_heaps() -> bool:
    """Bound how many heaps threads spread over and what lies there; False if libc knows no such.

    To be called before threads are started.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and one heap only
    if set_option is None:
        return False
    options = ((_M_ARENA_MAX, ARENAS), (_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES))
    taken = [set_option(option, value) == 1 for option, value in options]
    return all(taken)
