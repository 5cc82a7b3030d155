"""The watchdog: a service that can answer nothing any more ends, so that its supervisor starts another.

A thread that hangs in native code cannot be ended from outside, only with its process. So when one call of a network
has run for too long, or the engine has given up by itself, who waits is told at once, `/readyz` says 503, and the
process is sent SIGTERM: answers under way end in order, and Docker, systemd, Kubernetes or our own `app.workers` start
it again.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from app.engine import Engine

TICK_S = 0.5

_log = logging.getLogger(__name__)


def end_process() -> None:
    """Have this process end in order."""
    os.kill(os.getpid(), signal.SIGTERM)


async def watch(engine: Engine, *, limit_s: float, end: Callable[[], None] = end_process) -> None:
    """Look at the engine until it is of no use any more; then call `end`, once.

    Time is counted in ticks of this event loop: a process that was stopped and goes on has not hung.

    Args:
        engine: to look at; it is given up when a call of its hangs.
        limit_s: seconds that one call may take.
        end: what to do about it.
    """
    seen: int | None = None
    ticks = 0
    while engine.is_alive:
        await asyncio.sleep(TICK_S)
        call = engine.running_call
        ticks = ticks + 1 if call is not None and call == seen else 0
        seen = call
        if ticks * TICK_S >= limit_s:
            engine.give_up(f"a call of a network has not ended within {limit_s:g} s")
    _log.critical("the engine is of no use any more; this process ends, for its supervisor to start another")
    end()
