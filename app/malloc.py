"""The C library's allocator, told to give memory back: glibc's own settings are for programs that do one thing.

By default every thread allocates in an arena of its own, of which only the end can be given back, and the size from
which a block is mapped by itself grows to 32 MB with the first large block that is freed. So archives, uploads and
models that are loaded again leave holes behind, and a service grows for hours.
"""

import ctypes
import sys
from collections.abc import Callable

MAX_ARENAS = 2
"""One for the event loop, one for all threads beside it; Python's lock lets few of them allocate at once."""

MAPPED_BYTES = 2 << 20
"""A block of so many or more is mapped by itself, and given back when it is freed.

What G gives for 512 MNIST images is less (1.6 MB): mapped for each call anew, it would cost 400 page faults.
"""

KEPT_BYTES = 16 << 20
"""Free memory at an arena's end that is kept: to give it back and take it again costs page faults."""

# Of <malloc.h>.
_M_MXFAST, _M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = 1, -1, -3, -8


def give_memory_back() -> None:
    """Set up the allocator of this process; before its threads start. Nothing happens where it is not glibc's."""
    if (set_option := _function("mallopt")) is not None:
        set_option(_M_ARENA_MAX, MAX_ARENAS)
        set_option(_M_MXFAST, 0)  # what is small is merged when it is freed: else with each large block, all of it
        set_option(_M_MMAP_THRESHOLD, MAPPED_BYTES)
        set_option(_M_TRIM_THRESHOLD, KEPT_BYTES)


def give_holes_back() -> None:
    """Give back all that is free, between what is used, too: after something large that comes seldom.

    Every page is looked at: it takes milliseconds, without Python's lock.
    """
    if (trim := _function("malloc_trim")) is not None:
        trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """A function of glibc's; None with another C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
