"""The engine: one thread that runs the networks, one queue in front of it, batches made of whoever waits.

No timer: whenever the thread is free and the event loop has read what there was to read, it takes what waits for the
same network as one call, at most `rows_at_once` rows of it. A large job takes turns with the others: it gets a part of
each call, and who asks for one image waits for a call or two, not for the whole of it. A row's bits do not depend on
the rows beside it (`models.inference.tiles`), so all of this is invisible but for its speed.

What a network raises is the answer of the jobs in its call, and of no others; where memory was short, the jobs are
tried once more, each by itself. A fault of the engine's own ends every job that waits, and the engine begins anew.
A call that never ends is `app.inference.watchdog`'s affair.
"""

import asyncio
import logging
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.telemetry.metrics import Metrics
from app.telemetry.request_ids import current
from models.device import is_out_of_memory, release_memory

MAX_BATCH_ROWS = 64
"""Rows of one call at most, of a network that has no `rows_at_once`; a job of more is a large one."""

TURN_ROWS = 32
"""Rows that a large job gets of a call while others wait for the same network."""

MAX_FAULTS = 5
"""Faults of its own after which the engine does not begin anew."""

SEEN_S = 1.0
"""For so long after the thread has taken a call a ping needs no answer of it."""

STOP_TIMEOUT_S = 20.0
"""Seconds that `stop` waits for the call that runs."""

Rows: TypeAlias = NDArray[Any]
Network: TypeAlias = Callable[[Rows], Rows]

_log = logging.getLogger(__name__)


class EngineError(Exception):
    """The engine cannot take a job."""


class OverloadedError(EngineError):
    """As many rows wait as may."""


class StoppedError(EngineError):
    """The engine's thread has ended, or met a fault."""


class ExhaustedError(EngineError):
    """There is not the memory for a job."""


class Asker(Protocol):
    """Who waits for a job's results: a future, or anything else that can tell whether it still does."""

    def cancelled(self) -> bool:
        """Whether nobody waits any more; asked by the engine's thread, too."""


Receive: TypeAlias = Callable[[list[tuple[Any, Rows | Exception]]], None]
"""Takes the results, or why there are none, of each asker whose job ended with the same call; in its event loop."""


NoteTimes: TypeAlias = Callable[[float, float, float], None]
"""Takes the times of a job: `Engine.submit`."""


@dataclass(eq=False, slots=True)
class _Job:
    """Rows that want a network's results; `taken` of them have been in a call.

    It came, its first call began and its last one ended at times of `time.perf_counter`.
    """

    rows: Rows
    asker: Asker
    receive: Receive
    loop: asyncio.AbstractEventLoop
    came: float
    began: float = 0.0
    ended: float = 0.0
    taken: int = 0
    note_times: NoteTimes | None = None
    results: list[Rows] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.rows) - self.taken

    @property
    def is_small(self) -> bool:
        return len(self.rows) <= MAX_BATCH_ROWS


class _Part(NamedTuple):
    """Rows start … stop − 1 of a job, in one call."""

    job: _Job
    start: int
    stop: int


@dataclass(frozen=True)
class _Batch:
    network: Network
    parts: list[_Part]


class Engine:
    """Runs networks off the event loop.

    Args:
        max_queue_rows: rows that may wait; a job that finds more is refused.
        metrics: where to count.
    """

    def __init__(self, *, max_queue_rows: int, metrics: Metrics) -> None:
        self._max_queue_rows = max_queue_rows
        self._metrics = metrics
        self._queues: OrderedDict[Network, deque[_Job]] = OrderedDict()  # the network whose turn it is first
        self._pings: list[_Job] = []
        self._waiting_rows = 0
        self._changed = threading.Condition()
        self._idle = False
        self._runs = False
        self._call: _Batch | None = None  # what the thread computes now
        self._calls = self._faults = 0
        self._given_up = False
        self._gathered = False
        self._looked = 0.0  # when the thread last took what waits
        self._came = self._came_before = 0  # jobs, since the start and up to the pass before
        self._loop_to_wake: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._runs = True
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, then end the thread; one that hangs is left behind."""
        with self._changed:
            self._runs = False
            self._changed.notify()
        if self._thread.is_alive() and not self._given_up:
            self._thread.join(STOP_TIMEOUT_S)

    def give_up(self, reason: str) -> None:
        """Fail all that waits, the call that runs too, and take no more: that call is never going to end."""
        _log.critical("the engine is given up: %s", reason)
        with self._changed:
            self._runs = False
            self._given_up = True
            hanging = self._call
        self._fail(hanging, StoppedError(reason))

    @property
    def is_alive(self) -> bool:
        """Whether jobs are taken: false before the start, at the end, and after faults that it does not get over."""
        return self._runs

    @property
    def running_call(self) -> int | None:
        """The number of the call that runs; None between calls."""
        return None if self._call is None else self._calls

    def has_room_for(self, rows: int) -> bool:
        """Whether a job of so many rows would be taken now: for who would make them for nothing."""
        return not self._waiting_rows or self._waiting_rows + rows <= self._max_queue_rows

    async def run(self, network: Network, rows: Rows, *, may_wait: bool = False) -> Rows:
        """Apply a network to rows, [n, …], and return its results, [n, …], in order.

        Args:
            network: a function of rows that treats each by itself; jobs of the same function share calls.
            rows: n ≥ 1 rows.
            may_wait: take the job even when the queue is full; for the chunks of an answer that has begun.

        Raises:
            OverloadedError: the queue is full.
            StoppedError: the engine's thread has ended, or met a fault.
            ExhaustedError: there is not the memory for the job.
        """
        job, answer = _awaited(rows)
        self._put(network, job, may_wait=may_wait)
        results = await answer
        if (request := current.get()) is not None:
            request.add_stage("queue", job.came, job.began)
            request.add_stage("inference", job.began, job.ended)
        return results

    def submit(
        self,
        network: Network,
        rows: Rows,
        asker: Asker,
        receive: Receive,
        *,
        note_times: NoteTimes | None = None,
    ) -> None:
        """As `run`, for who waits without a task.

        Args:
            network: as above.
            rows: as above.
            asker: waits for the results; once it is cancelled the job is dropped, or its results are.
            receive: called with the results, or with what `run` would raise; once for all askers of a call that have
                the same.
            note_times: called before that, by the engine's thread, with when the job came, and when its first call
                began and its last one ended, by `time.perf_counter`.

        Raises:
            OverloadedError, StoppedError: as above.
        """
        loop = asyncio.get_running_loop()
        self._put(network, _Job(rows, asker, receive, loop, time.perf_counter(), note_times=note_times), may_wait=False)

    def _put(self, network: Network, job: _Job, *, may_wait: bool) -> None:
        rows = len(job.rows)
        with self._changed:
            self._check_alive()
            if not may_wait and not self.has_room_for(rows):
                raise OverloadedError(f"{self._waiting_rows:,} images wait, {self._max_queue_rows:,} may")
            self._queues.setdefault(network, deque()).append(job)
            self._waiting_rows += rows
            self._came += 1
        self._wake_soon(job.loop)

    async def ping(self, *, timeout_s: float) -> None:
        """Return once the thread has answered, ahead of the queue; at once when it has just taken a call.

        Under load it would not answer before the end of its call, for whose every step it waits for Python's lock.

        Raises:
            StoppedError: the engine's thread has ended, or does not answer in time.
        """
        job, answer = _awaited(np.empty(0))
        with self._changed:
            self._check_alive()
            if time.monotonic() - self._looked < SEEN_S:
                return
            self._pings.append(job)
            if self._idle:
                self._changed.notify()
        try:
            async with asyncio.timeout(timeout_s):
                await answer
        except TimeoutError as error:
            raise StoppedError(f"the engine has not answered within {timeout_s:g} s") from error

    def _check_alive(self) -> None:
        if not self._runs:
            raise StoppedError("the engine has stopped")

    def _wake_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the thread once the requests that are there have been read: they then share its next call."""
        if self._loop_to_wake is not loop:
            self._loop_to_wake = loop
            loop.call_soon(self._wake, loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Where loop and thread share a core, a call too early costs two switches of it, and the next call is small."""
        if self._came != self._came_before and self._waiting_rows < TURN_ROWS:
            self._came_before = self._came
            loop.call_soon(self._wake, loop)  # once more: the next pass may bring others
            return
        self._loop_to_wake = None
        with self._changed:
            self._gathered = True
            self._tell_waiting()
            if self._idle:
                self._changed.notify()

    # --- The thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        _let_others_finish()
        while self._runs or self._queues:
            try:
                while (batch := self._next_batch()) is not None:
                    self._serve(batch)
            except BaseException as error:  # noqa: BLE001  (whatever it is: nobody may wait for ever)
                self._faults += 1
                last = self._faults == MAX_FAULTS
                _log.critical("the engine met fault %d of %d", self._faults, MAX_FAULTS, exc_info=True)
                with self._changed:
                    self._runs = self._runs and not last
                    call, self._call = self._call, None
                self._fail(call, error)

    def _next_batch(self) -> _Batch | None:
        """What waits for the network whose turn it is; None when it is time to end."""
        with self._changed:
            while True:
                self._looked = time.monotonic()
                pings, self._pings = self._pings, []
                _settle([(ping, ping.rows) for ping in pings])
                while self._queues and (self._gathered or not self._runs):
                    batch = self._take()
                    self._gathered = bool(self._queues)
                    self._tell_waiting()
                    if batch.parts:
                        return batch
                if not self._runs:
                    return None
                self._gathered = False
                self._idle = True
                self._changed.wait()
                self._idle = False

    def _take(self) -> _Batch:
        """The next call, of the first network's jobs, oldest first.

        Small jobs are taken whole where the network takes several such at once, else half a call of each; of large
        ones there are two at most, with a turn each. What room is left in a call of the usual size the oldest get; a
        job that is alone has all that the network takes.
        """
        network, queue = self._queues.popitem(last=False)
        taken: list[tuple[_Job, int]] = []
        room: int = getattr(network, "rows_at_once", MAX_BATCH_ROWS)
        whole, turns = min(MAX_BATCH_ROWS, max(TURN_ROWS, room // 2)), MAX_BATCH_ROWS
        while queue and room:
            job = queue[0]
            most = whole if job.is_small else min(TURN_ROWS, turns)
            if not most:
                break
            queue.popleft()
            if job.asker.cancelled():
                self._waiting_rows -= job.left
                continue
            rows = min(job.left, most, room)
            room -= rows
            turns -= 0 if job.is_small else rows
            taken.append((job, rows))
        if len(taken) > 1 or queue:
            room = max(0, MAX_BATCH_ROWS - sum(rows for _, rows in taken))
        parts = []
        for job, turn in taken:
            rows = min(job.left, turn + room)
            room -= rows - turn
            parts.append(_Part(job, job.taken, job.taken + rows))
            job.taken += rows
            self._waiting_rows -= rows
            if job.left:
                queue.append(job)
        if queue:
            self._queues[network] = queue  # behind the other networks
        return _Batch(network, parts)

    def _serve(self, batch: _Batch) -> None:
        finished: list[tuple[_Job, Rows | Exception]] = []
        failed: list[tuple[_Job, Rows | Exception]] = []
        for (job, _, stop), result in zip(batch.parts, self._compute(batch), strict=True):
            if isinstance(result, Exception):
                failed.append((job, result))
                continue
            job.results.append(result)
            if stop == len(job.rows):
                finished.append((job, job.results[0] if len(job.results) == 1 else np.concatenate(job.results)))
        if failed:
            self._drop(batch.network, [job for job, _ in failed])
        finished.sort(key=lambda answer: len(answer[0].rows))  # nobody waits for the encoding of more than is his
        _settle(finished + failed)

    def _compute(self, batch: _Batch) -> list[Rows | Exception]:
        """The results of each part, or why there are none; a BaseException leaves `_call` behind."""
        rows = [job.rows[start:stop] for job, start, stop in batch.parts]
        self._calls += 1
        self._call = batch
        began = time.perf_counter()
        if waits := _waits(batch.parts, until=began):
            self._metrics.observe_aside(self._metrics.queue_seconds, waits)
        try:
            results = batch.network(np.concatenate(rows) if len(rows) > 1 else rows[0])
            parts: list[Rows | Exception] = list(_split(results, batch.parts))
            self._metrics.observe_aside(self._metrics.call_seconds, (_end(batch.parts) - began,))
            self._metrics.observe_aside(self._metrics.batch_rows, (len(results),))
            self._faults = 0
        except Exception as error:  # noqa: BLE001  (whatever a network raises is the answer of its jobs, and of no others)
            parts = self._compute_alone(batch.network, rows) if is_out_of_memory(error) else [error] * len(rows)
        self._call = None
        return parts

    @staticmethod
    def _compute_alone(network: Network, parts: list[Rows]) -> list[Rows | Exception]:
        """The results of each part by itself, where there was no memory for all together."""
        results: list[Rows | Exception] = []
        for rows in parts:
            release_memory()
            try:
                results.append(network(rows))
            except Exception as error:  # noqa: BLE001  (as above)
                short = is_out_of_memory(error)
                results.append(ExhaustedError(f"no memory for {len(rows)} images") if short else error)
        return results

    def _drop(self, network: Network, jobs: list[_Job]) -> None:
        """Take out of the queue what is left of jobs that have failed."""
        failed = {id(job) for job in jobs}
        with self._changed:
            queue = self._queues.pop(network, deque())
            self._waiting_rows -= sum(job.left for job in queue if id(job) in failed)
            self._tell_waiting()
            if others := deque(job for job in queue if id(job) not in failed):
                self._queues[network] = others

    def _fail(self, batch: _Batch | None, cause: BaseException) -> None:
        """Nobody waits for an answer that cannot come."""
        with self._changed:
            waiting = [job for queue in self._queues.values() for job in queue] + self._pings
            self._queues.clear()
            self._pings = []
            self._waiting_rows = 0
            self._tell_waiting()
        reason = cause if isinstance(cause, StoppedError) else type(cause).__name__  # what else it says is for the log
        hit = [job for job, _, _ in batch.parts] if batch else []
        _settle([(job, StoppedError(f"the engine has stopped: {reason}")) for job in hit + waiting])

    def _tell_waiting(self) -> None:
        """Once for all jobs that came or were taken together: a gauge takes a lock of its own."""
        self._metrics.waiting_rows.set(self._waiting_rows)


def _waits(parts: list[_Part], *, until: float) -> list[float]:
    """The seconds that jobs have waited whose first call begins now."""
    waits = []
    for job, start, _ in parts:
        if start == 0:
            job.began = until
            waits.append(until - job.came)
    return waits


def _end(parts: list[_Part]) -> float:
    """Now, noted as the end of each job's last call up to now."""
    now = time.perf_counter()
    for job, _, _ in parts:
        job.ended = now
    return now


def _split(results: Rows, parts: list[_Part]) -> Iterator[Rows]:
    """The results of each part of a call."""
    at = 0
    for _, start, stop in parts:
        yield results[at : at + stop - start]
        at += stop - start


def _let_others_finish() -> None:
    """Have this thread, when it is woken, not interrupt the one that runs: the event loop, which had more to do.

    Where both share a core it would only find the interpreter's lock taken: two switches for nothing.
    """
    if hasattr(os, "SCHED_BATCH"):  # Linux
        with suppress(OSError):  # a sandbox may not let us; then it is a little slower
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _awaited(rows: Rows) -> tuple[_Job, asyncio.Future[Rows]]:
    """A job, and the future that waits for it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Rows] = loop.create_future()
    return _Job(rows, future, _resolve, loop, time.perf_counter()), future


def _settle(answers: list[tuple[_Job, Rows | Exception]]) -> None:
    """Hand answers to who receives them, one call of an event loop for each."""
    grouped: dict[tuple[asyncio.AbstractEventLoop, Receive], list[tuple[Asker, Rows | Exception]]] = {}
    for job, answer in answers:
        if job.note_times is not None:
            job.note_times(job.came, job.began, job.ended)
        grouped.setdefault((job.loop, job.receive), []).append((job.asker, answer))
    for (loop, receive), settled in grouped.items():
        try:
            loop.call_soon_threadsafe(receive, settled)
        except RuntimeError:
            _log.debug("%d answers came after their event loop had closed", len(settled))


def _resolve(answers: list[tuple[asyncio.Future[Rows], Rows | Exception]]) -> None:
    for future, answer in answers:
        if future.done():  # cancelled
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
