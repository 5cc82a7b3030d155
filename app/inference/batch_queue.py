"""The queue of jobs that wait for the engine. It chooses the rows that share the next call of a network.

Networks take turns. A call has at most the network's `rows_at_once` rows, and the oldest jobs come first. A large job
gets a part of each call, so that a job of one image waits for a call or two, not for the whole of a large job.

The queue has no thread, no event loop and no lock. The caller holds a lock where it needs one.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from app.inference.jobs import Job, Network, Rows
from app.telemetry.metrics import Metrics

MAX_BATCH_ROWS = 64
"""The most rows of one call of a network that has no `rows_at_once`. A job of more rows is called large."""

TURN_ROWS = 32
"""The rows of a large job in one call, while other jobs wait for the same network."""


class JobPart(NamedTuple):
    """A part of a job in one call: its rows `start` to `stop` − 1."""

    job: Job
    start: int
    stop: int


@dataclass(frozen=True)
class Batch:
    """One call of a network: the parts of jobs that share it, in the order of their rows."""

    network: Network
    parts: list[JobPart]


class BatchQueue:
    """The waiting jobs, by network.

    Args:
        max_rows: the most rows that may wait. `put` does not check this: the caller calls `has_room_for` before.

    Attributes:
        waiting_rows: the number of rows that wait now.
    """

    def __init__(self, *, max_rows: int) -> None:
        self.max_rows = max_rows
        self.waiting_rows = 0
        self._jobs_of: OrderedDict[Network, deque[Job]] = OrderedDict()  # the network whose turn it is comes first

    @property
    def is_empty(self) -> bool:
        """Whether no job waits."""
        return not self._jobs_of

    def has_room_for(self, rows: int) -> bool:
        """Whether `rows` more rows fit. An empty queue takes any number."""
        return not self.waiting_rows or self.waiting_rows + rows <= self.max_rows

    def put(self, network: Network, job: Job) -> None:
        """Add a job after the others of its network, whether there is room for it or not."""
        self._jobs_of.setdefault(network, deque()).append(job)
        self.waiting_rows += len(job.rows)

    def take(self) -> Batch:
        """Return the rows of the next call, for the network whose turn it is. The queue must not be empty.

        First each job gets a limited number of rows, its turn (`_take_turns`). Room that is left in a call of the usual
        size goes to the oldest jobs; a job that is alone gets all the rows that the network takes.

        Returns:
            The call; it has no parts if all jobs of this network were cancelled.
        """
        network, jobs = self._jobs_of.popitem(last=False)
        call_rows: int = getattr(network, "rows_at_once", MAX_BATCH_ROWS)
        turns, room = self._take_turns(jobs, call_rows)
        if len(turns) > 1 or jobs:
            room = max(0, MAX_BATCH_ROWS - (call_rows - room))
        parts = []
        for job, turn in turns:
            left = job.left
            rows = min(left, turn + room)
            room -= rows - turn
            parts.append(JobPart(job, job.taken, job.taken + rows))
            job.taken += rows
            self.waiting_rows -= rows
            if rows < left:
                jobs.append(job)
        if jobs:
            self._jobs_of[network] = jobs  # after the other networks
        return Batch(network, parts)

    def _take_turns(self, jobs: deque[Job], room: int) -> tuple[list[tuple[Job, int]], int]:
        """Choose the jobs of one network's next call, and how many rows of each job the call has.

        The chosen jobs leave `jobs`, and so do cancelled ones, which are dropped. A small job (at most `MAX_BATCH_ROWS`
        rows) gets all its rows if the call has room for two of the largest small jobs, otherwise at most half of the
        room, or `TURN_ROWS` if that is more. A large job gets `TURN_ROWS` rows, and a call has at most two large jobs.

        Args:
            jobs: the network's waiting jobs, oldest first; changed in place.
            room: the most rows that the call may have.

        Returns:
            Each chosen job with its number of rows in the call, and the number of rows that are still free.
        """
        small_turn, large_room = min(MAX_BATCH_ROWS, max(TURN_ROWS, room // 2)), MAX_BATCH_ROWS
        turns: list[tuple[Job, int]] = []
        while jobs and room:
            job = jobs[0]
            is_small = len(job.rows) <= MAX_BATCH_ROWS
            turn = small_turn if is_small else min(TURN_ROWS, large_room)
            if not turn:  # a third large job: it and the jobs after it wait
                break
            jobs.popleft()
            if job.waiter.cancelled():
                self.waiting_rows -= job.left
                continue
            rows = min(job.left, turn, room)
            room -= rows
            if not is_small:
                large_room -= rows
            turns.append((job, rows))
        return turns, room

    def drop(self, network: Network, jobs: Iterable[Job]) -> None:
        """Remove these jobs, with all their remaining rows, from the queue. Jobs that are not in it are ignored."""
        dropped = {id(job) for job in jobs}
        waiting = self._jobs_of.pop(network, deque())
        self.waiting_rows -= sum(job.left for job in waiting if id(job) in dropped)
        if others := deque(job for job in waiting if id(job) not in dropped):
            self._jobs_of[network] = others  # after the other networks

    def clear(self) -> list[Job]:
        """Remove all jobs, and return them."""
        jobs = [job for waiting in self._jobs_of.values() for job in waiting]
        self._jobs_of.clear()
        self.waiting_rows = 0
        return jobs


def call_network(batch: Batch, metrics: Metrics) -> list[Rows]:
    """Make one call of a batch's network. Return the results of each part, [stop − start, …].

    Note in each job when it began and ended, and observe how long the jobs waited and how long the call took.

    Raises:
        Exception: what the network raised.
    """
    rows = [job.rows[start:stop] for job, start, stop in batch.parts]
    began_at = time.perf_counter()
    if waits := _note_beginnings(batch.parts, began_at):
        metrics.observe_from_thread(metrics.queue_seconds, waits)
    results = batch.network(np.concatenate(rows) if len(rows) > 1 else rows[0])
    parts = list(_split(results, batch.parts))
    metrics.observe_from_thread(metrics.call_seconds, (_note_ends(batch.parts) - began_at,))
    metrics.observe_from_thread(metrics.batch_rows, (len(results),))
    return parts


def _note_beginnings(parts: list[JobPart], began_at: float) -> list[float]:
    """Note the time in each job whose first call begins now, and return how many seconds each of them has waited."""
    waits = []
    for job, start, _ in parts:
        if start == 0:
            job.began_at = began_at
            waits.append(began_at - job.submitted_at)
    return waits


def _note_ends(parts: list[JobPart]) -> float:
    """Set each job's `ended_at` to the current time, and return that time."""
    now = time.perf_counter()
    for job, _, _ in parts:
        job.ended_at = now
    return now


def _split(results: Rows, parts: list[JobPart]) -> Iterator[Rows]:
    """Split the results of a call into those of its parts."""
    at = 0
    for _, start, stop in parts:
        yield results[at : at + stop - start]
        at += stop - start
