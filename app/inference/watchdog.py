"""The watchdog: a service that can answer nothing any more ends, so that its supervisor starts another.

A thread that hangs in native code cannot be ended from outside, only with its process. So when one call of a network or
one projection has run for too long, or the engine has given up by itself, who waits is told, `/readyz` says 503, and
the process is sent SIGTERM: answers under way end in order, and Docker, systemd, Kubernetes or our own
`app.server.supervisor` start it again.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from typing import Protocol

TICK_S = 0.5

_log = logging.getLogger(__name__)


class Watched(Protocol):
    """What makes one call after the other, each of which may hang: the engine, the projections."""

    @property
    def is_alive(self) -> bool:
        """Whether it is still of use."""

    @property
    def running_call(self) -> int | None:
        """The number of the call that runs; None between calls."""

    def give_up(self, reason: str) -> None:
        """Tell all who wait, and take no more."""


def end_process() -> None:
    """Have this process end in order; uvicorn then ends it by the same signal, which waits for no thread."""
    os.kill(os.getpid(), signal.SIGTERM)


async def watch(limits_s: Mapping[Watched, float], *, end: Callable[[], None] = end_process) -> None:
    """Look at all until one of them is of no use any more; then call `end`, once.

    Time is counted in ticks of this event loop: a process that was stopped and goes on has not hung.

    Args:
        limits_s: what to look at, and the seconds that one call of each may take; one whose call hangs is given up.
        end: what to do about it.
    """
    seen: dict[Watched, tuple[int | None, int]] = dict.fromkeys(limits_s, (None, 0))  # its call, and for how many ticks
    while all(watched.is_alive for watched in limits_s):
        await asyncio.sleep(TICK_S)
        for watched, limit_s in limits_s.items():
            call, (before, ticks) = watched.running_call, seen[watched]
            ticks = ticks + 1 if call is not None and call == before else 0
            seen[watched] = (call, ticks)
            if ticks * TICK_S >= limit_s:
                watched.give_up(f"a call has not ended within {limit_s:g} s")
    _log.critical("the service is of no use any more; this process ends, for its supervisor to start another")
    end()
