"""Settings that make glibc's allocator return memory to the system.

By default every thread allocates in an arena (a region of memory) of its own, of which only the end can be returned.
The size from which a block is mapped by itself also grows, up to 32 MB, when a large block is freed. Archives, uploads
and reloaded models then leave holes behind, and the memory of a service grows for hours.
"""

import ctypes
import sys
from collections.abc import Callable

MAX_ARENAS = 2
"""The most arenas: one for the event loop, and one for the other threads, few of which allocate at once."""

MAPPED_BYTES = 2 << 20
"""A block of at least this size is mapped by itself, and returned to the system when it is freed.

G's output for 512 MNIST images is smaller (1.6 MB): to map it anew for each call would cost 400 page faults.
"""

KEPT_BYTES = 16 << 20
"""Bytes of free memory that are kept at the end of an arena: to return and retake them would cost page faults."""

# The names and values are those of <malloc.h>.
_M_MXFAST, _M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = 1, -1, -3, -8


def give_memory_back() -> None:
    """Set up the allocator of this process, before its threads start. Do nothing if the C library is not glibc."""
    if (set_option := _function("mallopt")) is not None:
        set_option(_M_ARENA_MAX, MAX_ARENAS)
        set_option(_M_MXFAST, 0)  # merge small blocks as they are freed, not all at each large block
        set_option(_M_MMAP_THRESHOLD, MAPPED_BYTES)
        set_option(_M_TRIM_THRESHOLD, KEPT_BYTES)


def give_holes_back() -> None:
    """Return all free memory to the system, also that between used blocks. Call it after rare large work.

    It looks at every page, which takes milliseconds, but does not hold Python's lock.
    """
    if (trim := _function("malloc_trim")) is not None:
        trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """Return a function of glibc, or None if the C library does not have it."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
