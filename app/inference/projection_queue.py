"""The queue of projections: a thread of its own beside the engine's, since a projection takes a second.

The engine's calls never wait for a projection; they share the processor, not the queue. `app.inference.watchdog` deals
with a projection that never ends.
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
"""Seconds for a projection with its wait. A full queue needs a fraction of this, so a later projection must hang."""

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class QueueFullError(Exception):
    """The maximum number of projections is waiting."""


class LateError(Exception):
    """A projection has not ended in time, or will not end."""


class ProjectionQueue:
    """Runs one job after the other on one thread.

    Args:
        max_waiting: the most jobs that may wait while another one runs; a job beyond that is refused.
        metrics: the metrics that the queue updates.
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
        self._stopped = False

    @property
    def is_alive(self) -> bool:
        """Whether projections are made: True until one of them has hung."""
        return not self._given_up

    @property
    def running_call(self) -> int | None:
        """The number of the projection that runs; None between projections."""
        return self._begun if self._runs else None

    async def run(self, job: Callable[[], Result], *, gone: Coroutine[None, None, None]) -> Result:
        """Run `job` on the thread and return its result.

        Args:
            job: the function to run; an error that it raises is raised here.
            gone: a coroutine that ends when nobody wants the result any more; a job that has not begun by then never
                begins.

        Raises:
            QueueFullError: the queue is full.
            ClientGoneError: `gone` ended first.
            LateError: neither `job` nor `gone` ended within `DEADLINE_S`, or the thread hangs or has been stopped.
        """
        if self._given_up:
            gone.close()
            raise LateError("the service has stopped making projections, because one did not end")
        if self._stopped:
            gone.close()
            raise LateError("the service is stopping, and makes no more projections")
        waiting = self._unfinished - 1
        if waiting >= self._max_waiting:
            gone.close()
            raise QueueFullError(f"{waiting} projections wait, and the limit is {self._max_waiting}")
        submitted: Future[Result] = self._executor.submit(self._run_job, job)
        self._count(+1)
        submitted.add_done_callback(lambda _: self._count(-1))
        result = asyncio.wrap_future(submitted)
        left = asyncio.create_task(gone)
        try:
            either: list[asyncio.Future[Result] | asyncio.Future[None]] = [result, left]
            ended, _ = await asyncio.wait(either, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
            if not ended:
                raise LateError(f"the projection has not ended within {DEADLINE_S:g} s")
            if not result.done():
                raise ClientGoneError
            if submitted.cancelled() and not self.is_alive:
                raise LateError("the service has stopped making projections, because one did not end")
            return result.result()
        finally:
            result.cancel()  # this cancels the job too, unless it has begun
            left.cancel()
            with suppress(asyncio.CancelledError):
                await left

    def give_up(self, reason: str) -> None:
        """Drop the jobs that wait, and take no more, because the running job will never end.

        Args:
            reason: a text for the log that says why.
        """
        _log.critical("projections are given up: %s; their requests get 503", reason)
        self._given_up = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """Drop the jobs that wait, finish the running one and end the thread. A thread that hangs is not ended."""
        self._stopped = True
        self._executor.shutdown(wait=not self._given_up, cancel_futures=True)

    def _run_job(self, job: Callable[[], Result]) -> Result:
        """Run a job, and set `running_call` while it runs."""
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
