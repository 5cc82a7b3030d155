"""One call of a network: the rows that go in, the results that come out, and the times that are noted."""

import asyncio
import time
from typing import cast

import numpy as np
import pytest

from app.inference.batch_queue import Batch, JobPart, call_network
from app.inference.jobs import Job, Rows
from app.telemetry.metrics import Metrics

NO_LOOP = cast("asyncio.AbstractEventLoop", None)


class Waiter:
    """Waits for ever."""

    def cancelled(self) -> bool:
        return False


def job(*values: float) -> Job:
    rows = np.array(values, np.float32)[:, None]
    return Job(rows, Waiter(), lambda answers: None, NO_LOOP, time.perf_counter())


def told(metrics: Metrics) -> dict[str, float]:
    metrics.settle()
    lines = (line.rsplit(" ", 1) for line in metrics.text().decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def test_each_part_gets_its_own_rows_back() -> None:
    calls: list[Rows] = []

    def doubled(rows: Rows) -> Rows:
        calls.append(rows)
        return rows * 2

    one, other, large = job(1, 2), job(3), job(4, 5, 6, 7)
    batch = Batch(doubled, [JobPart(one, 0, 2), JobPart(other, 0, 1), JobPart(large, 1, 3)])
    results = call_network(batch, Metrics())
    assert [result.ravel().tolist() for result in results] == [[2, 4], [6], [10, 12]]
    assert [rows.ravel().tolist() for rows in calls] == [[1, 2, 3, 5, 6]]


def test_times_are_noted_and_only_the_first_call_of_a_job_ends_its_wait() -> None:
    metrics, new, begun = Metrics(), job(1), job(*range(10))
    begun.began_at = 1.0
    before = time.perf_counter()
    call_network(Batch(np.negative, [JobPart(new, 0, 1), JobPart(begun, 5, 9)]), metrics)
    after = time.perf_counter()
    assert before <= new.began_at <= new.ended_at == begun.ended_at <= after
    assert begun.began_at == 1.0
    found = told(metrics)
    assert found["gan_engine_queue_seconds_count"] == 1
    assert found["gan_engine_queue_seconds_sum"] == pytest.approx(new.began_at - new.submitted_at)
    assert found["gan_engine_call_seconds_count"] == 1
    assert found["gan_engine_batch_rows_sum"] == 5


def test_a_call_that_fails_is_not_timed() -> None:
    def failing(rows: Rows) -> Rows:
        raise ValueError("no")

    metrics, asked = Metrics(), job(1)
    with pytest.raises(ValueError, match="no"):
        call_network(Batch(failing, [JobPart(asked, 0, 1)]), metrics)
    found = told(metrics)
    assert found["gan_engine_queue_seconds_count"] == 1
    assert found["gan_engine_call_seconds_count"] == found["gan_engine_batch_rows_count"] == 0
    assert (asked.began_at > 0, asked.ended_at) == (True, 0.0)
