"""The engine: one thread that runs networks, off the event loop.

There is no timer. Whenever the thread is free and the event loop has read the requests that had arrived, the thread
takes the next call from `app.inference.batch_queue`. The result of a row does not depend on the rows beside it
(`models.inference.tiles`), so sharing calls changes the speed and nothing else.

If a network raises an error, the jobs in that call get this error, and no other job does. If memory was short, each
part is tried once more by itself. A fault of the engine's own code fails every job that waits, and the engine starts
again. `app.inference.watchdog` deals with a call that never ends.

    EngineError
    ├── OverloadedError
    ├── StoppedError
    └── ExhaustedError
"""

import asyncio
import logging
import os
import threading
import time
from contextlib import suppress

import numpy as np

from app.inference.batch_queue import TURN_ROWS, Batch, BatchQueue, call_network
from app.inference.jobs import Job, Network, NoteTimes, Receive, Rows, Waiter, awaited_job, deliver
from app.telemetry.metrics import Metrics
from app.telemetry.request_ids import current
from models.device import is_out_of_memory, release_memory

MAX_FAULTS = 5
"""The engine stops for good after this many faults of its own code in a row."""

SEEN_S = 1.0
"""A ping succeeds at once if the thread has looked at the queue within this many seconds."""

STOP_TIMEOUT_S = 20.0
"""`stop` waits at most this many seconds for the thread to end."""

_log = logging.getLogger(__name__)


class EngineError(Exception):
    """The engine cannot run a job."""


class OverloadedError(EngineError):
    """The queue has no room for a job."""


class StoppedError(EngineError):
    """The engine's thread has ended, or met a fault."""


class ExhaustedError(EngineError):
    """There is not enough memory for a job."""


class Engine:
    """Runs jobs on one thread: each applies a network to rows, and jobs of one network share calls of it.

    Args:
        max_queue_rows: the most rows that may wait; a job beyond that is refused.
        metrics: the metrics that the engine updates.
    """

    def __init__(self, *, max_queue_rows: int, metrics: Metrics) -> None:
        self._metrics = metrics
        self._queue = BatchQueue(max_rows=max_queue_rows)
        self._pings: list[Job] = []
        self._changed = threading.Condition()  # its lock guards the queue and the pings
        self._runs = False
        self._given_up = False
        self._waits = False  # the thread waits for `_changed`
        self._may_take = False  # the loop has read the requests that had arrived
        self._looked_at = 0.0  # when the thread last looked at the queue, by time.monotonic
        self._current: Batch | None = None  # what the thread computes now
        self._calls = self._faults = 0
        self._submitted = self._submitted_before = 0  # jobs, and as many as there were when `_wake` last looked
        self._loop_to_wake: asyncio.AbstractEventLoop | None = None  # the loop in which `_wake` is scheduled
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the engine's thread."""
        self._runs = True
        self._thread.start()

    def stop(self) -> None:
        """Finish the jobs that wait, then end the thread. A thread that hangs is not ended."""
        with self._changed:
            self._runs = False
            self._changed.notify()
        if self._thread.is_alive() and not self._given_up:
            self._thread.join(STOP_TIMEOUT_S)

    def give_up(self, reason: str) -> None:
        """Fail all jobs, including those of the running call, which will never end, and take no more."""
        _log.critical("the engine is given up: %s; its requests get 503", reason)
        with self._changed:
            self._runs = False
            self._given_up = True
            hanging = self._current
        self._fail(hanging, StoppedError(reason))

    @property
    def is_alive(self) -> bool:
        """Whether jobs are taken: false before `start`, after `stop` or `give_up`, and after `MAX_FAULTS` faults."""
        return self._runs

    @property
    def running_call(self) -> int | None:
        """The number of the running call of a network; None between calls."""
        return None if self._current is None else self._calls

    def has_room_for(self, rows: int) -> bool:
        """Whether `rows` more rows fit. Check before building inputs."""
        return self._queue.has_room_for(rows)

    async def run(self, network: Network, rows: Rows, *, may_wait: bool = False) -> Rows:
        """Apply a network to rows, and return its results in order.

        Args:
            network: the network, which treats each row by itself; jobs of the same network share calls.
            rows: the input rows, [n, …], n ≥ 1.
            may_wait: whether to take the job even if the queue is full, for later chunks of an answer that has begun.

        Returns:
            [n, …], in the dtype of the network's results.

        Raises:
            OverloadedError: the queue is full.
            StoppedError: the engine's thread has ended, or met a fault.
            ExhaustedError: there is not enough memory for the job.
            Exception: what the network raised.
        """
        job, answer = awaited_job(rows)
        self._put(network, job, may_wait=may_wait)
        results = await answer
        if (request := current.get()) is not None:
            request.add_stage("queue", job.submitted_at, job.began_at)
            request.add_stage("inference", job.began_at, job.ended_at)
        return results

    def submit(
        self,
        network: Network,
        rows: Rows,
        waiter: Waiter,
        receive: Receive,
        *,
        note_times: NoteTimes | None = None,
    ) -> None:
        """Queue a job and return at once: `receive` gets the results later. Call it in an event loop.

        Args:
            network: the network, as in `run`.
            rows: the input rows, as in `run`.
            waiter: the object that waits for the results; once it is cancelled, the job or its results are dropped.
            receive: a function, called in this event loop with the results, or with the error that `run` would raise.
                Jobs with the same `receive` that end in the same call share one call of it.
            note_times: a function, called before `receive` with the times of the job, by the engine's thread; or None.

        Raises:
            OverloadedError: the queue is full.
            StoppedError: the engine's thread has ended.
        """
        loop = asyncio.get_running_loop()
        self._put(network, Job(rows, waiter, receive, loop, time.perf_counter(), note_times=note_times), may_wait=False)

    async def ping(self, *, timeout_s: float) -> None:
        """Return once the engine's thread has answered. A ping goes ahead of the queue.

        If the thread took work from the queue a moment ago, return at once: under load its answer would come only after
        the call that it is running.

        Raises:
            StoppedError: the engine's thread has ended, or does not answer in time.
        """
        job, answer = awaited_job(np.empty(0))
        with self._changed:
            self._check_alive()
            if time.monotonic() - self._looked_at < SEEN_S:
                return
            self._pings.append(job)
            if self._waits:
                self._changed.notify()
        try:
            async with asyncio.timeout(timeout_s):
                await answer
        except TimeoutError as error:
            raise StoppedError(f"the engine has not answered within {timeout_s:g} s") from error

    def _put(self, network: Network, job: Job, *, may_wait: bool) -> None:
        queue = self._queue
        with self._changed:
            self._check_alive()
            if not may_wait and not queue.has_room_for(len(job.rows)):
                raise OverloadedError(f"{queue.waiting_rows:,} images wait, and the limit is {queue.max_rows:,}")
            queue.put(network, job)
            self._submitted += 1
        if self._loop_to_wake is not job.loop:
            self._loop_to_wake = job.loop
            job.loop.call_soon(self._wake, job.loop)

    def _check_alive(self) -> None:
        if not self._runs:
            raise StoppedError("the engine has stopped")

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the thread take its next call once all requests that have arrived are read, so that they share the call.

        While new jobs keep coming, and all waiting jobs together have fewer than `TURN_ROWS` rows, this waits for one
        more pass of the loop. A call that starts too early is small, and costs two thread switches if the loop and the
        thread share a core.
        """
        if self._submitted != self._submitted_before and self._queue.waiting_rows < TURN_ROWS:
            self._submitted_before = self._submitted
            loop.call_soon(self._wake, loop)
            return
        self._loop_to_wake = None
        with self._changed:
            self._may_take = True
            self._report_waiting()
            if self._waits:
                self._changed.notify()

    # --- The thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        _prefer_other_threads()
        while self._runs or not self._queue.is_empty:
            try:
                while (batch := self._next_batch()) is not None:
                    self._serve(batch)
            except BaseException as error:  # noqa: BLE001  (whatever the fault is, no request may wait for ever)
                self._faults += 1
                last = self._faults == MAX_FAULTS
                _log.critical(
                    "fault %d in a row of the engine's own code; its requests get 503, and it stops at %d",
                    self._faults,
                    MAX_FAULTS,
                    exc_info=True,
                )
                with self._changed:
                    self._runs = self._runs and not last
                    failed, self._current = self._current, None
                self._fail(failed, error)

    def _next_batch(self) -> Batch | None:
        """Wait for the rows of the next call, and return them; return None when the thread has to end."""
        queue = self._queue
        with self._changed:
            while True:
                self._looked_at = time.monotonic()
                pings, self._pings = self._pings, []
                deliver([(ping, ping.rows) for ping in pings])
                while not queue.is_empty and (self._may_take or not self._runs):
                    batch = queue.take()
                    self._may_take = not queue.is_empty
                    self._report_waiting()
                    if batch.parts:
                        return batch
                if not self._runs:
                    return None
                self._may_take = False
                self._waits = True
                self._changed.wait()
                self._waits = False

    def _serve(self, batch: Batch) -> None:
        """Make one call of a network, and deliver the results of the jobs that it finished."""
        finished: list[tuple[Job, Rows | Exception]] = []
        failed: list[tuple[Job, Rows | Exception]] = []
        for (job, _, stop), result in zip(batch.parts, self._compute(batch), strict=True):
            if isinstance(result, Exception):
                failed.append((job, result))
                continue
            job.results.append(result)
            if stop == len(job.rows):
                finished.append((job, job.results[0] if len(job.results) == 1 else np.concatenate(job.results)))
        if failed:
            with self._changed:
                self._queue.drop(batch.network, [job for job, _ in failed])
                self._report_waiting()
        finished.sort(key=lambda answer: len(answer[0].rows))  # a small answer does not wait for a large one's encoding
        deliver(finished + failed)

    def _compute(self, batch: Batch) -> list[Rows | Exception]:
        """Make one call of a network, and return the results or the error of each part.

        `_current` is the batch during the call. A BaseException that is not an Exception leaves it set, so that `_run`
        can answer the batch's jobs with an error.
        """
        self._calls += 1
        self._current = batch
        results: list[Rows | Exception]
        try:
            results = [*call_network(batch, self._metrics)]
            self._faults = 0
        except Exception as error:  # noqa: BLE001  (whatever a network raises is the answer of its jobs, and of no others)
            results = _call_for_each(batch) if is_out_of_memory(error) else [error] * len(batch.parts)
        self._current = None
        return results

    def _fail(self, batch: Batch | None, cause: BaseException) -> None:
        """Answer a call's jobs, all waiting jobs and all waiting pings with `StoppedError`: the engine has stopped."""
        with self._changed:
            waiting = self._queue.clear() + self._pings
            self._pings = []
            self._report_waiting()
        reason = cause if isinstance(cause, StoppedError) else type(cause).__name__  # its message is for the log only
        computed = [job for job, _, _ in batch.parts] if batch else []
        deliver([(job, StoppedError(f"the engine has stopped: {reason}")) for job in computed + waiting])

    def _report_waiting(self) -> None:
        """Set the gauge of waiting rows once for all jobs that came or were taken together, because it takes a lock."""
        self._metrics.waiting_rows.set(self._queue.waiting_rows)


def _call_for_each(batch: Batch) -> list[Rows | Exception]:
    """Call the network for each part by itself, because memory was short. Return the parts' results or errors."""
    results: list[Rows | Exception] = []
    for job, start, stop in batch.parts:
        release_memory()
        try:
            results.append(batch.network(job.rows[start:stop]))
        except Exception as error:  # noqa: BLE001  (as in `_compute`)
            short = is_out_of_memory(error)
            results.append(ExhaustedError(f"no memory for {stop - start} images") if short else error)
    return results


def _prefer_other_threads() -> None:
    """Set this thread's scheduling so that it does not interrupt the event loop's thread when it wakes.

    If both share a core, the woken thread finds the interpreter's lock taken, and two thread switches are wasted.
    """
    if hasattr(os, "SCHED_BATCH"):  # Linux
        with suppress(OSError):  # a sandbox may forbid it; the service is then a little slower
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
