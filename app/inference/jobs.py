"""A job of the engine: rows for one network, the object that waits for the results, and the function that gets them.

The engine's thread delivers results to event loops. All jobs that end in one call of a network share one callback.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

Rows: TypeAlias = NDArray[Any]
"""[n, …]: n inputs of a network, or n results."""

Network: TypeAlias = Callable[[Rows], Rows]
"""A function from n rows to n results, each row by itself. Its attribute `rows_at_once` limits the rows of a call."""

_log = logging.getLogger(__name__)


class Waiter(Protocol):
    """Waits for a job's results: a future, or any object that can say whether it still waits."""

    def cancelled(self) -> bool:
        """Whether nobody waits any more. The engine's thread calls this too."""


Receive: TypeAlias = Callable[[list[tuple[Any, Rows | Exception]]], None]
"""A function, called in the event loop with (waiter, results or error) of each of its jobs that a call finished."""


NoteTimes: TypeAlias = Callable[[float, float, float], None]
"""A function that the engine's thread calls with a job's `submitted_at`, `began_at`, `ended_at`, before its results."""


@dataclass(eq=False, slots=True)
class Job:
    """Rows to which a network is to be applied.

    Attributes:
        rows: the input rows, [n, …], n ≥ 1.
        waiter: the object that waits for the results.
        receive: the function that is called with the results.
        loop: the event loop in which `receive` is called.
        submitted_at: the time when the job was submitted; this and the next two are seconds of `time.perf_counter`.
        began_at: the time when the job's first call of the network began.
        ended_at: the time when the job's latest call ended.
        taken: the number of its rows that have been in a call, or are in one now.
        note_times: a function that is called with these times, or None.
        results: the results so far, one array for each call.
    """

    rows: Rows
    waiter: Waiter
    receive: Receive
    loop: asyncio.AbstractEventLoop
    submitted_at: float
    began_at: float = 0.0
    ended_at: float = 0.0
    taken: int = 0
    note_times: NoteTimes | None = None
    results: list[Rows] = field(default_factory=list)

    @property
    def left(self) -> int:
        """How many rows have not been in a call yet."""
        return len(self.rows) - self.taken


def awaited_job(rows: Rows) -> tuple[Job, asyncio.Future[Rows]]:
    """Return a job, and the future of its results in the running event loop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Rows] = loop.create_future()
    return Job(rows, future, _resolve, loop, time.perf_counter()), future


def deliver(answers: list[tuple[Job, Rows | Exception]]) -> None:
    """Hand each job's results, or its error, to its `receive`: one callback for each event loop and receiver.

    May be called from any thread. Within a callback the answers keep their order.
    """
    grouped: dict[tuple[asyncio.AbstractEventLoop, Receive], list[tuple[Waiter, Rows | Exception]]] = {}
    for job, answer in answers:
        if job.note_times is not None:
            job.note_times(job.submitted_at, job.began_at, job.ended_at)
        grouped.setdefault((job.loop, job.receive), []).append((job.waiter, answer))
    for (loop, receive), delivered in grouped.items():
        try:
            loop.call_soon_threadsafe(receive, delivered)
        except RuntimeError:
            _log.debug("%d results are dropped: their event loop has closed", len(delivered))


def _resolve(answers: list[tuple[asyncio.Future[Rows], Rows | Exception]]) -> None:
    """Set the results or errors of futures: the `Receive` of jobs whose waiter is a future."""
    for future, answer in answers:
        if future.done():  # it was cancelled
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
