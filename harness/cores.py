"""Pin a service with its processes to one core and its client to another, so that they do not compete for time."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

SERVER_CORE, CLIENT_CORE = 0, 1


def pinned(core: int) -> list[str]:
    """Return a prefix that pins a command, and all that it starts, to a core; it is empty if `can_pin` is false."""
    return ["taskset", "--cpu-list", str(core)] if can_pin() else []


@contextmanager
def pinned_to(core: int) -> Iterator[None]:
    """Pin this thread to a core within this context. Where `can_pin` is false, do nothing."""
    if not can_pin():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def can_pin() -> bool:
    """Return whether there are two cores, and `taskset` to pin commands to them."""
    return (
        shutil.which("taskset") is not None
        and hasattr(os, "sched_getaffinity")
        and {SERVER_CORE, CLIENT_CORE} <= os.sched_getaffinity(0)
    )
