"""The watchdog: it ends a service that can no longer answer, so that a supervisor starts another.

A thread that hangs in native code can only be ended together with its process. So when one call of a network or one
projection has run for too long, or the engine has stopped by itself, waiting requests get an error, `/readyz` says 503,
and the process gets SIGTERM. Answers under way are finished, and Docker, systemd, Kubernetes or our own
`app.server.supervisor` start the service again.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from typing import Protocol

TICK_S = 0.5
"""Seconds between two checks of the running calls (a tick)."""

_log = logging.getLogger(__name__)


class Watched(Protocol):
    """An object that makes one call after the other, each of which may hang: the engine or the projection queue."""

    @property
    def is_alive(self) -> bool:
        """Whether the object still takes jobs."""

    @property
    def running_call(self) -> int | None:
        """The number of the running call; None between calls."""

    def give_up(self, reason: str) -> None:
        """Fail the jobs that wait, and take no more."""


def end_process() -> None:
    """Send this process SIGTERM, which makes the service shut down.

    uvicorn ends the service in order, and then sends the signal again, to Python's default handler. So the process ends
    even if one of its threads hangs.
    """
    os.kill(os.getpid(), signal.SIGTERM)


async def watch(limits_s: Mapping[Watched, float], *, end: Callable[[], None] = end_process) -> None:
    """Check the engine and the projection queue until one of them takes no more jobs; then call `end` once.

    Time is counted in ticks of this event loop, so a process that was suspended and resumed does not seem to hang.

    Args:
        limits_s: the seconds that one call of each object may take; if a call takes longer, its object's `give_up` is
            called.
        end: a function that ends the service.
    """
    # The running call that was last seen, and for how many ticks it has run
    seen: dict[Watched, tuple[int | None, int]] = dict.fromkeys(limits_s, (None, 0))
    while all(watched.is_alive for watched in limits_s):
        await asyncio.sleep(TICK_S)
        for watched, limit_s in limits_s.items():
            call, (before, ticks) = watched.running_call, seen[watched]
            ticks = ticks + 1 if call is not None and call == before else 0
            seen[watched] = (call, ticks)
            if ticks * TICK_S >= limit_s:
                watched.give_up(f"a call has not ended within {limit_s:g} s")
    _log.critical("the service can no longer answer; this process ends, so that a supervisor can start another")
    end()
