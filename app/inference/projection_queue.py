"""Projections take a second each, so they have a thread of their own, beside the engine's, and a short queue.

A call of the engine's never waits for one; they share the processor, not the queue. One that never ends is
`app.inference.watchdog`'s affair.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from app.problems import ClientGoneError
from app.telemetry.metrics import Metrics

DEADLINE_S = 60.0
"""For a projection and its wait: several times what a full queue takes. One that runs for so long hangs."""

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class QueueFullError(Exception):
    """As many projections wait as may."""


class LateError(Exception):
    """A projection has not ended in time, or is not going to."""


class ProjectionQueue:
    """Runs one job after the other on one thread.

    Args:
        max_waiting: jobs that may wait beside the one that runs; one more is refused.
        metrics: where to count.
    """

    def __init__(self, *, max_waiting: int, metrics: Metrics) -> None:
        self._max_waiting = max_waiting
        self._unfinished = 0  # jobs that wait or run
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="projections")
        self._waiting = metrics.waiting_projections
        self._begun = 0
        self._runs = False
        self._given_up = False

    @property
    def is_alive(self) -> bool:
        """Whether projections are made: not any more once one of them has hung."""
        return not self._given_up

    @property
    def running_call(self) -> int | None:
        """The number of the projection that runs; None between projections."""
        return self._begun if self._runs else None

    async def run(self, job: Callable[[], Result], *, gone: Coroutine[None, None, None]) -> Result:
        """Run `job` on the thread and return its result.

        Args:
            job: the work; what it raises is raised here.
            gone: ends when nobody wants the result any more; a job that has not begun by then never does.

        Raises:
            QueueFullError: the queue is full.
            ClientGoneError: `gone` ended first.
            LateError: neither ended within `DEADLINE_S`, or the thread hangs.
        """
        if self._given_up:
            gone.close()
            raise LateError("projections are not made any more")
        waiting = self._unfinished - 1
        if waiting >= self._max_waiting:
            gone.close()
            raise QueueFullError(f"{waiting} projections wait, {self._max_waiting} may")
        submitted: Future[Result] = self._executor.submit(self._noted, job)
        self._count(+1)
        submitted.add_done_callback(lambda _: self._count(-1))
        result = asyncio.wrap_future(submitted)
        left = asyncio.create_task(gone)
        try:
            either: list[asyncio.Future[Result] | asyncio.Future[None]] = [result, left]
            ended, _ = await asyncio.wait(either, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
            if not ended:
                raise LateError(f"no projection within {DEADLINE_S:g} s")
            if not result.done():
                raise ClientGoneError
            if submitted.cancelled() and not self.is_alive:
                raise LateError("projections are not made any more")
            return result.result()
        finally:
            result.cancel()  # and with it the job, unless it has begun
            left.cancel()
            with suppress(asyncio.CancelledError):
                await left

    def prepare(self, job: Callable[[], object]) -> None:
        """Have the thread do something first of all; it counts as no projection."""
        self._executor.submit(self._noted, job)

    def give_up(self, reason: str) -> None:
        """Drop what waits, and take no more: what runs is never going to end."""
        _log.critical("projections are given up: %s", reason)
        self._given_up = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """Drop what waits, finish what runs, end the thread; one that hangs is left behind."""
        self._executor.shutdown(wait=not self._given_up, cancel_futures=True)

    def _noted(self, job: Callable[[], Result]) -> Result:
        """Run a job, and have it seen that it runs."""
        self._begun += 1
        self._runs = True
        try:
            return job()
        finally:
            self._runs = False

    def _count(self, change: int) -> None:
        with self._lock:
            self._unfinished += change
            self._waiting.set(max(0, self._unfinished - 1))
