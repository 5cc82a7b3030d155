"""The queue of jobs: which rows share the next call. The tests need neither a thread nor a running loop."""

import asyncio
from typing import cast

import numpy as np
import pytest

from app.inference.batch_queue import MAX_BATCH_ROWS, TURN_ROWS, Batch, BatchQueue
from app.inference.jobs import Job, Rows
from app.inference.jobs import Network as AnyNetwork

NO_LOOP = cast("asyncio.AbstractEventLoop", None)
"""The queue delivers nothing, so it never uses a loop."""


class Waiter:
    """Waits until a test sets `gone`."""

    def __init__(self) -> None:
        self.gone = False

    def cancelled(self) -> bool:
        return self.gone


def same(rows: Rows) -> Rows:
    """A network without `rows_at_once`."""
    return rows


class Network:
    """A network that takes `rows_at_once` rows in one call."""

    def __init__(self, rows_at_once: int = MAX_BATCH_ROWS) -> None:
        self.rows_at_once = rows_at_once

    def __call__(self, rows: Rows) -> Rows:
        return rows


def job(n: int) -> Job:
    return Job(np.zeros((n, 1), np.float32), Waiter(), lambda answers: None, NO_LOOP, 0.0)


def queue(max_rows: int = 100_000) -> BatchQueue:
    return BatchQueue(max_rows=max_rows)


def filled(network: AnyNetwork, *sizes: int) -> tuple[BatchQueue, list[Job]]:
    made, jobs = queue(), [job(n) for n in sizes]
    for each in jobs:
        made.put(network, each)
    return made, jobs


def cancel(job: Job) -> None:
    cast("Waiter", job.waiter).gone = True


def sizes_of(batch: Batch, jobs: list[Job]) -> dict[int, int]:
    """Return how many rows of each job are in a call, by the job's place in the list."""
    return {jobs.index(part.job): part.stop - part.start for part in batch.parts}


def all_of(queue: BatchQueue) -> list[Batch]:
    batches = []
    while not queue.is_empty:
        batches.append(queue.take())
    return batches


def test_small_jobs_share_a_call_in_their_order() -> None:
    waiting, jobs = filled(same, 1, 2, 3)
    batch = waiting.take()
    assert batch.network is same
    assert batch.parts == [(jobs[0], 0, 1), (jobs[1], 0, 2), (jobs[2], 0, 3)]
    assert waiting.is_empty
    assert waiting.waiting_rows == 0


@pytest.mark.parametrize("sizes", [(200, 100, MAX_BATCH_ROWS + 1, MAX_BATCH_ROWS, 5), (1,), (64, 64), (1, 5000, 1)])
@pytest.mark.parametrize("network", [same, Network(4 * MAX_BATCH_ROWS), Network(100)])
def test_every_row_is_in_one_call_and_the_rows_of_a_job_in_order(network: AnyNetwork, sizes: tuple[int, ...]) -> None:
    waiting, jobs = filled(network, *sizes)
    seen = {id(each): 0 for each in jobs}
    for batch in all_of(waiting):
        for each, start, stop in batch.parts:
            assert start == seen[id(each)] < stop
            seen[id(each)] = stop
    assert [seen[id(each)] for each in jobs] == list(sizes)
    assert [each.left for each in jobs] == [0] * len(sizes)
    assert waiting.waiting_rows == 0


def test_the_usual_call_is_full_and_has_no_row_more() -> None:
    waiting, _ = filled(same, *[7] * 40)
    totals = [sum(part.stop - part.start for part in batch.parts) for batch in all_of(waiting)]
    assert totals == [MAX_BATCH_ROWS] * 4 + [40 * 7 - 4 * MAX_BATCH_ROWS]


def test_a_lone_large_job_has_all_that_the_network_takes() -> None:
    waiting, jobs = filled(Network(256), 600)
    assert [sizes_of(batch, jobs) for batch in all_of(waiting)] == [{0: 256}, {0: 256}, {0: 88}]


def test_a_large_job_takes_turns_with_small_ones() -> None:
    waiting, jobs = filled(same, 1000, *[1] * 40)
    assert sizes_of(waiting.take(), jobs) == {0: TURN_ROWS} | dict.fromkeys(range(1, 33), 1)
    # The other small jobs come before the rest of the large one, which gets the room that they leave.
    assert sizes_of(waiting.take(), jobs) == dict.fromkeys(range(33, 41), 1) | {0: MAX_BATCH_ROWS - 8}


def test_two_large_jobs_are_in_a_call_and_a_third_waits_with_what_is_behind_it() -> None:
    waiting, jobs = filled(Network(256), 1000, 1000, 1000, 1000, 1)
    assert sizes_of(waiting.take(), jobs) == {0: TURN_ROWS, 1: TURN_ROWS}
    assert sizes_of(waiting.take(), jobs) == {2: TURN_ROWS, 3: TURN_ROWS, 4: 1}
    assert sizes_of(waiting.take(), jobs) == {0: TURN_ROWS, 1: TURN_ROWS}


def test_the_last_rows_of_a_large_job_leave_a_turn_to_a_third() -> None:
    waiting, jobs = filled(Network(256), 65, 1000, 1000)
    jobs[0].taken = 60
    assert sizes_of(waiting.take(), jobs) == {0: 5, 1: TURN_ROWS, 2: 27}


def test_a_wide_network_takes_small_jobs_whole_and_a_narrow_one_half_a_call_of_each() -> None:
    wide, jobs = filled(Network(256), *[MAX_BATCH_ROWS] * 5)
    assert sizes_of(wide.take(), jobs) == dict.fromkeys(range(4), MAX_BATCH_ROWS)
    narrow, jobs = filled(same, *[MAX_BATCH_ROWS] * 3)
    assert sizes_of(narrow.take(), jobs) == {0: 32, 1: 32}
    assert sizes_of(narrow.take(), jobs) == {2: 32, 0: 32}


@pytest.mark.parametrize(("size", "in_first_call"), [(MAX_BATCH_ROWS, 64), (MAX_BATCH_ROWS + 1, TURN_ROWS)])
def test_a_job_of_one_row_more_is_a_large_one(size: int, in_first_call: int) -> None:
    waiting, jobs = filled(Network(256), size, *[MAX_BATCH_ROWS] * 5)
    assert sizes_of(waiting.take(), jobs)[0] == in_first_call


def test_networks_take_turns() -> None:
    one, other = Network(), Network()
    waiting = queue()
    for network, n in ((one, 300), (other, 300), (one, 1)):
        waiting.put(network, job(n))
    networks = [batch.network for batch in all_of(waiting)]
    assert networks[:6] == [one, other] * 3


def test_a_network_that_comes_anew_stands_behind_the_others() -> None:
    one, other = Network(), Network()
    waiting = queue()
    for network in (one, other):
        waiting.put(network, job(1))
    assert waiting.take().network is one
    waiting.put(one, job(1))
    assert [batch.network for batch in all_of(waiting)] == [other, one]


def test_cancelled_jobs_are_dropped_when_it_is_their_turn() -> None:
    waiting, jobs = filled(same, 3, 1, 2)
    cancel(jobs[0])
    assert waiting.waiting_rows == 6
    assert sizes_of(waiting.take(), jobs) == {1: 1, 2: 2}
    assert waiting.waiting_rows == 0


def test_a_job_that_is_cancelled_in_its_middle_gives_the_rest_of_its_rows_back() -> None:
    waiting, jobs = filled(same, 1000)
    waiting.take()
    assert waiting.waiting_rows == 1000 - MAX_BATCH_ROWS
    cancel(jobs[0])
    assert waiting.take().parts == []
    assert waiting.is_empty
    assert waiting.waiting_rows == 0


def test_a_cancelled_large_job_takes_no_turn_from_others() -> None:
    waiting, jobs = filled(same, 1000, 1000, 1000)
    cancel(jobs[0])
    assert sizes_of(waiting.take(), jobs) == {1: TURN_ROWS, 2: TURN_ROWS}


def test_room_is_for_what_fits_and_an_empty_queue_takes_any_number() -> None:
    waiting = queue(max_rows=10)
    assert waiting.has_room_for(1000)
    waiting.put(same, job(7))
    assert waiting.has_room_for(3)
    assert not waiting.has_room_for(4)
    waiting.put(same, job(20))  # `put` takes it without room, and counts it
    assert waiting.waiting_rows == 27
    assert not waiting.has_room_for(1)
    all_of(waiting)
    assert waiting.has_room_for(1000)


def test_failed_jobs_are_dropped_with_their_rows_and_others_stay() -> None:
    waiting, jobs = filled(same, 1000, 1000)
    other = Network()
    waiting.put(other, job(1))
    failed = waiting.take()
    waiting.drop(same, [failed.parts[0].job])
    assert waiting.waiting_rows == jobs[1].left + 1
    assert [batch.network for batch in all_of(waiting)][:2] == [other, same]
    assert (jobs[0].left, jobs[1].left) == (1000 - TURN_ROWS, 0)


def test_to_drop_the_last_job_of_a_network_or_one_that_does_not_wait_leaves_nothing() -> None:
    waiting, jobs = filled(same, 1000)
    waiting.take()
    waiting.drop(same, jobs)
    assert waiting.is_empty
    waiting.drop(same, jobs)
    assert waiting.is_empty
    assert waiting.waiting_rows == 0


def test_clear_returns_all_that_wait() -> None:
    waiting, jobs = filled(same, 3, 1)
    extra = job(2)
    waiting.put(Network(), extra)
    assert waiting.clear() == [*jobs, extra]
    assert waiting.is_empty
    assert waiting.waiting_rows == 0
    assert waiting.clear() == []
