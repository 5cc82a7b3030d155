"""The engine: one thread that runs the networks, one queue in front of it, batches made of whoever waits.

No timer: whenever the thread is free, it takes what waits for the same network as one call. A row's bits do not depend
on the rows beside it (`models.tiles`), so sharing a call is invisible but for its speed.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.metrics import Metrics

MAX_BATCH_ROWS = 256
"""Rows of one call at most, unless a single job has more."""

Rows: TypeAlias = NDArray[Any]
Network: TypeAlias = Callable[[Rows], Rows]

_log = logging.getLogger(__name__)


class EngineError(Exception):
    """The engine cannot take a job."""


class OverloadedError(EngineError):
    """As many rows wait as may."""


class StoppedError(EngineError):
    """The engine's thread has ended."""


@dataclass
class _Job:
    network: Network | None  # None asks for a sign of life
    rows: Rows
    result: asyncio.Future[Rows]
    loop: asyncio.AbstractEventLoop


class Engine:
    """Runs networks off the event loop.

    Args:
        max_queue_rows: rows that may wait; a job that finds more is refused.
        metrics: where to count.
    """

    def __init__(self, *, max_queue_rows: int, metrics: Metrics) -> None:
        self._max_queue_rows = max_queue_rows
        self._metrics = metrics
        self._queue: deque[_Job] = deque()
        self._waiting_rows = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, then end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def has_room(self) -> bool:
        """Whether a job would be taken now."""
        return self._waiting_rows < self._max_queue_rows

    async def run(self, network: Network, rows: Rows, *, may_wait: bool = False) -> Rows:
        """Apply a network to rows, [n, …], and return its results, [n, …], in order.

        Args:
            network: a function of rows that treats each by itself; jobs of the same function share calls.
            rows: n ≥ 1 rows.
            may_wait: take the job even when the queue is full; for the chunks of an answer that has begun.

        Raises:
            OverloadedError: the queue is full.
            StoppedError: the engine's thread has ended.
        """
        return await self._submit(network, rows, first=False, bounded=not may_wait)

    async def ping(self, *, timeout_s: float) -> None:
        """Return once the thread has answered, ahead of the queue.

        Raises:
            StoppedError: the engine's thread has ended, or does not answer in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._submit(None, np.empty(0), first=True, bounded=False)
        except TimeoutError as error:
            raise StoppedError(f"the engine has not answered within {timeout_s:g} s") from error

    async def _submit(self, network: Network | None, rows: Rows, *, first: bool, bounded: bool) -> Rows:
        loop = asyncio.get_running_loop()
        job = _Job(network, rows, loop.create_future(), loop)
        with self._changed:
            if self._stopping or not self._thread.is_alive():
                raise StoppedError("the engine has stopped")
            if bounded and self._waiting_rows and self._waiting_rows + len(rows) > self._max_queue_rows:
                raise OverloadedError(f"{self._waiting_rows:,} images wait, {self._max_queue_rows:,} may")
            (self._queue.appendleft if first else self._queue.append)(job)
            self._count_waiting(len(rows))
            self._changed.notify()
        return await job.result

    def _run(self) -> None:
        batch: list[_Job] | None = []
        try:
            while batch is not None:
                self._serve(batch)
                batch = self._next_batch()
        except BaseException as error:
            _log.critical("the engine's thread died", exc_info=True)
            self._fail(batch or [], error)
            raise

    def _next_batch(self) -> list[_Job] | None:
        """What waits for the same network, oldest first; None when it is time to end."""
        with self._changed:
            while not self._queue:
                if self._stopping:
                    return None
                self._changed.wait()
            batch = [self._queue.popleft()]
            rows = len(batch[0].rows)
            while self._queue and self._queue[0].network is batch[0].network:
                rows += len(self._queue[0].rows)
                if rows > MAX_BATCH_ROWS:
                    break
                batch.append(self._queue.popleft())
            self._count_waiting(-sum(len(job.rows) for job in batch))
        return [job for job in batch if not job.result.cancelled()]

    def _serve(self, batch: list[_Job]) -> None:
        if not batch:
            return
        network = batch[0].network
        try:
            rows = np.concatenate([job.rows for job in batch]) if len(batch) > 1 else batch[0].rows
            results = rows if network is None else network(rows)
        except Exception as error:  # noqa: BLE001  (whatever a network raises is the answer of its jobs, and of no others)
            for job in batch:
                _answer(job, error)
            return
        if network is not None:
            self._metrics.batch_rows.observe(len(rows))
        start = 0
        for job in batch:
            _answer(job, results[start : start + len(job.rows)])
            start += len(job.rows)

    def _fail(self, batch: list[_Job], cause: BaseException) -> None:
        """The thread's last act: nobody waits for an answer that cannot come."""
        with self._changed:
            self._stopping = True
            waiting, self._queue = list(self._queue), deque()
            self._count_waiting(-self._waiting_rows)
        for job in batch + waiting:
            _answer(job, StoppedError(f"the engine has stopped: {cause!r}"))

    def _count_waiting(self, change: int) -> None:
        self._waiting_rows += change
        self._metrics.waiting_rows.set(self._waiting_rows)


def _answer(job: _Job, answer: Rows | Exception) -> None:
    """Hand the answer to the event loop that waits for it, unless it has been closed meanwhile."""

    def settle() -> None:
        if job.result.done():
            return
        if isinstance(answer, Exception):
            job.result.set_exception(answer)
        else:
            job.result.set_result(answer)

    try:
        job.loop.call_soon_threadsafe(settle)
    except RuntimeError:
        _log.debug("an answer came after its event loop had closed")
