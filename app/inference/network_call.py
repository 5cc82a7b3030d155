"""One call of a network: the rows of all parts go in together, and the results of each part come out."""

import time
from collections.abc import Iterator

import numpy as np

from app.inference.batch_queue import Batch, JobPart
from app.inference.jobs import Rows
from app.telemetry.metrics import Metrics


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
    """Note now as the end of each job's latest call, and return it."""
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
