"""Two cores: one for a service and all its processes, one for its client."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

SERVER_CORE, CLIENT_CORE = 0, 1


def pinned(core: int) -> list[str]:
    """A prefix that pins a command, and all that it starts, to a core; empty where `can_pin` is false."""
    return ["taskset", "--cpu-list", str(core)] if can_pin() else []


@contextmanager
def pinned_to(core: int) -> Iterator[None]:
    """Pin this thread to a core for a while; does nothing where `can_pin` is false."""
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
    """Whether there are two cores, and `taskset` to pin commands to them."""
    return (
        shutil.which("taskset") is not None
        and hasattr(os, "sched_getaffinity")
        and {SERVER_CORE, CLIENT_CORE} <= os.sched_getaffinity(0)
    )
