"""The C library's memory allocator, set for a process that runs for months with many threads."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # malloc.h
ARENAS = 2
"""glibc gives each thread a heap of its own, up to eight a core: what is freed in one is of no use
to another, and each keeps its own high-water mark. Decoding allocates seldom, so few will do."""


def bound_arenas() -> bool:
    """Bound how many heaps threads spread over; False where the C library knows no such thing.

    To be called before threads are started.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and one heap only
    return set_option is not None and set_option(_M_ARENA_MAX, ARENAS) == 1
