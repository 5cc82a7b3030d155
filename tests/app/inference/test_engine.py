"""The engine: shared calls, cancelled jobs, failures, and its end."""

import asyncio
import threading

import numpy as np
import pytest
import torch

from app.inference import watchdog
from app.inference.batch_queue import MAX_BATCH_ROWS, TURN_ROWS
from app.inference.engine import MAX_FAULTS, Engine, ExhaustedError, OverloadedError, StoppedError
from app.inference.jobs import Rows
from app.inference.watchdog import watch
from app.telemetry.metrics import Metrics

HANGS_S = 120
"""Seconds after which a test that waits fails. It guards against hanging only: no test depends on it."""


class Network:
    """A network that doubles its rows, notes the size of each call, and can be held.

    Args:
        held_from: the number of a call, from 1 on. The call before it clears `free`, so the engine stops in this one
            until the test sets `free` again.

    Attributes:
        calls: the rows of each call so far.
        free: whether calls go through; a call waits until it is set.
        stopped: set by a call that has to wait for `free`.
    """

    def __init__(self, *, held_from: int | None = None) -> None:
        self.calls: list[int] = []
        self.held_from = held_from
        self.free = threading.Event()
        self.free.set()
        self.stopped = threading.Event()

    def __call__(self, rows: Rows) -> Rows:
        self.calls.append(len(rows))
        if not self.free.is_set():
            self.stopped.set()
        assert self.free.wait(HANGS_S)
        if (rows < 0).any():
            raise ValueError("negative")
        if (rows == 666).any():
            raise SystemExit("the thread dies")
        if len(self.calls) + 1 == self.held_from:
            self.free.clear()  # before the results of this call are delivered
        return rows * 2

    async def held(self, engine: Engine) -> "asyncio.Task[Rows]":
        """Occupy the engine until `free` is set."""
        self.free.clear()
        self.stopped.clear()
        task = asyncio.create_task(engine.run(self, rows(1)))
        await self.has_stopped()
        return task

    async def has_stopped(self) -> None:
        """Wait until a call waits for `free`."""
        assert await asyncio.to_thread(self.stopped.wait, HANGS_S)


def rows(*values: float) -> Rows:
    return np.array(values, dtype=np.float32)[:, None]


def engine(max_queue_rows: int = 1000) -> Engine:
    made = Engine(max_queue_rows=max_queue_rows, metrics=Metrics())
    made.start()
    return made


async def submitted(engine: Engine, network: Network, *jobs: Rows) -> "list[asyncio.Task[Rows]]":
    """Start a job for each array of rows, and let each reach the queue."""
    tasks = [asyncio.create_task(engine.run(network, job)) for job in jobs]
    await asyncio.sleep(0)
    return tasks


def test_who_waits_together_shares_a_call() -> None:
    async def play() -> None:
        started, network = engine(), Network()
        first = await network.held(started)
        tasks = await submitted(started, network, rows(1, 2), rows(3), rows(4, 5, 6))
        network.free.set()
        results = [await task for task in tasks]
        await first
        assert [result.ravel().tolist() for result in results] == [[2, 4], [6], [8, 10, 12]]
        assert network.calls == [1, 6]
        started.stop()

    asyncio.run(play())


def test_who_comes_a_pass_of_the_loop_later_shares_the_call() -> None:
    async def play() -> None:
        started, network = engine(), Network()

        async def ask(value: int) -> Rows:
            for _ in range(value):
                await asyncio.sleep(0)
            return await started.run(network, rows(value))

        results = await asyncio.gather(*[ask(value) for value in range(5)])
        assert [result.item() for result in results] == [0, 2, 4, 6, 8]
        assert network.calls == [5]
        started.stop()

    asyncio.run(play())


def test_the_thread_starts_before_the_last_has_come() -> None:
    """One job comes in each pass of the loop, without end. With a turn's rows the thread does not wait for more."""

    async def play() -> None:
        started, network = engine(10_000_000), Network()
        tasks = []
        while not network.calls:
            tasks.append(asyncio.create_task(started.run(network, rows(1))))
            await asyncio.sleep(0)
        assert len(tasks) >= TURN_ROWS
        await asyncio.gather(*tasks)
        started.stop()

    asyncio.run(asyncio.wait_for(play(), HANGS_S))


def test_waiting_rows_are_told() -> None:
    async def play() -> None:
        metrics, network = Metrics(), Network()
        started = Engine(max_queue_rows=1000, metrics=metrics)
        started.start()
        first = await network.held(started)
        tasks = await submitted(started, network, rows(1, 2), rows(3))
        for _ in range(3):
            await asyncio.sleep(0)
        assert b"gan_engine_waiting_rows 3.0" in metrics.text()
        network.free.set()
        await asyncio.gather(first, *tasks)
        assert b"gan_engine_waiting_rows 0.0" in metrics.text()
        started.stop()

    asyncio.run(play())


def test_large_jobs_are_cut_into_calls_and_put_together_again() -> None:
    async def play() -> None:
        started, network = engine(10_000), Network()
        first = await network.held(started)
        jobs = [
            np.arange(size, dtype=np.float32)[:, None] for size in (200, 100, MAX_BATCH_ROWS + 1, MAX_BATCH_ROWS, 5)
        ]
        tasks = await submitted(started, network, *jobs)
        network.free.set()
        for task, job in zip(tasks, jobs, strict=True):
            assert (await task == job * 2).all()
        await first
        assert network.calls[0] == 1
        assert sum(network.calls[1:]) == sum(map(len, jobs))
        assert set(network.calls[1:-1]) == {MAX_BATCH_ROWS}  # all calls are full except the last
        started.stop()

    asyncio.run(play())


def test_a_lone_large_job_has_whole_calls() -> None:
    async def play() -> None:
        started, network = engine(), Network()
        await started.run(network, np.zeros((2 * MAX_BATCH_ROWS + 3, 1), dtype=np.float32))
        assert network.calls == [MAX_BATCH_ROWS, MAX_BATCH_ROWS, 3]
        started.stop()

    asyncio.run(play())


class WideNetwork(Network):
    """A network that is quick enough for several grids at once."""

    rows_at_once = 4 * MAX_BATCH_ROWS


def test_a_wide_network_takes_several_grids_at_once() -> None:
    async def play() -> None:
        started, network = engine(10_000), WideNetwork()
        first = await network.held(started)
        tasks = await submitted(started, network, *[np.full((MAX_BATCH_ROWS, 1), k) for k in range(5)], rows(7))
        network.free.set()
        results = await asyncio.gather(*tasks)
        await first
        assert network.calls == [1, 4 * MAX_BATCH_ROWS, MAX_BATCH_ROWS + 1]
        assert [set(result.ravel().tolist()) for result in results] == [{0}, {2}, {4}, {6}, {8}, {14}]
        started.stop()

    asyncio.run(play())


@pytest.mark.parametrize("large", [1, 2, 3])
def test_only_a_lone_large_job_has_wide_calls(large: int) -> None:
    """With several large jobs every call would be long, and a job that comes meanwhile waits for its end."""

    async def play() -> None:
        started, network = engine(10_000), WideNetwork()
        first = await network.held(started)
        tasks = await submitted(started, network, *[np.zeros((1000, 1), dtype=np.float32)] * large)
        network.free.set()
        await asyncio.gather(first, *tasks)
        assert network.calls[1] == network.calls[2] == (MAX_BATCH_ROWS if large > 1 else 4 * MAX_BATCH_ROWS)
        assert sum(network.calls) == 1 + 1000 * large
        started.stop()

    asyncio.run(play())


def test_two_large_jobs_are_in_a_call_beside_small_ones() -> None:

    async def play() -> None:
        started, network = engine(10_000), WideNetwork()
        first = await network.held(started)
        large = await submitted(started, network, *[np.zeros((1000, 1), dtype=np.float32)] * 4)
        small = await submitted(started, network, *[rows(k) for k in range(3)])
        network.free.set()
        await asyncio.gather(first, *small, *large)
        assert network.calls[1:4] == [64, 64 + 3, 64]  # the small jobs were queued behind the four large ones
        started.stop()

    asyncio.run(play())


def test_of_one_call_those_who_asked_for_little_hear_first() -> None:
    async def play() -> None:
        started, network = engine(), WideNetwork()
        first = await network.held(started)
        heard: list[int] = []
        tasks = await submitted(started, network, *[np.zeros((n, 1)) for n in (60, 1, 40, 2)])
        for task in tasks:
            task.add_done_callback(lambda done: heard.append(len(done.result())))
        network.free.set()
        await asyncio.gather(first, *tasks)
        assert heard == [1, 2, 40, 60]
        assert network.calls == [1, 103]
        started.stop()

    asyncio.run(play())


def test_a_large_job_does_not_hold_up_small_ones() -> None:
    async def play() -> None:
        started, network = engine(10_000), Network(held_from=4)
        first = await network.held(started)
        large, *small = await submitted(
            started, network, np.zeros((4096, 1), dtype=np.float32), *[rows(k) for k in range(40)]
        )
        network.free.set()
        await asyncio.gather(first, *small)
        # The first call had a turn of the large job and 32 small jobs; the second had the other small jobs.
        assert network.calls[:3] == [1, MAX_BATCH_ROWS, MAX_BATCH_ROWS]
        assert not large.done()
        network.free.set()
        assert len(await large) == 4096
        started.stop()

    asyncio.run(play())


def test_networks_take_turns() -> None:
    async def play() -> None:
        started, one, other = engine(10_000), Network(held_from=3), Network()
        first = await one.held(started)
        (large,) = await submitted(started, one, np.zeros((4096, 1), dtype=np.float32))
        (small,) = await submitted(started, other, rows(3))
        one.free.set()
        assert (await small).item() == 6
        assert not large.done()
        one.free.set()
        await asyncio.gather(first, large)
        started.stop()

    asyncio.run(play())


def test_a_large_job_cancelled_in_its_middle_goes_no_further() -> None:
    async def play() -> None:
        started, network = engine(10_000), Network(held_from=3)
        first = await network.held(started)
        (large,) = await submitted(started, network, np.zeros((4096, 1), dtype=np.float32))
        network.stopped.clear()
        network.free.set()
        await first
        await network.has_stopped()
        large.cancel()
        await asyncio.gather(large, return_exceptions=True)
        network.free.set()
        assert (await started.run(network, rows(4))).item() == 8
        assert network.calls == [1, MAX_BATCH_ROWS, MAX_BATCH_ROWS, 1]
        assert started.has_room_for(1)
        started.stop()

    asyncio.run(play())


def test_a_large_job_that_fails_leaves_nothing_behind() -> None:
    async def play() -> None:
        started, network = engine(5000), Network()
        first = await network.held(started)
        bad = np.zeros((4096, 1), dtype=np.float32)
        bad[MAX_BATCH_ROWS] = -1
        (large,) = await submitted(started, network, bad)
        network.free.set()
        await first
        with pytest.raises(ValueError, match="negative"):
            await large
        assert (await started.run(network, rows(4))).item() == 8
        assert network.calls == [1, MAX_BATCH_ROWS, MAX_BATCH_ROWS, 1]
        # If the failed job's rows were still counted, these would be too many.
        assert len(await started.run(network, np.zeros((5000, 1), dtype=np.float32))) == 5000
        started.stop()

    asyncio.run(play())


def test_other_networks_do_not_share() -> None:
    async def play() -> None:
        started, one, other = engine(), Network(), Network()
        first = await one.held(started)
        tasks = [*await submitted(started, one, rows(1)), *await submitted(started, other, rows(2))]
        one.free.set()
        await asyncio.gather(first, *tasks)
        assert (one.calls, other.calls) == ([1, 1], [1])
        started.stop()

    asyncio.run(play())


def test_a_failure_is_told_to_its_own_batch_only() -> None:
    async def play() -> None:
        started, network = engine(), Network()
        with pytest.raises(ValueError, match="negative"):
            await started.run(network, rows(-1))
        assert (await started.run(network, rows(4))).item() == 8
        started.stop()

    asyncio.run(play())


def test_cancelled_jobs_cost_nothing() -> None:
    async def play() -> None:
        started, network = engine(), Network()
        first = await network.held(started)
        tasks = await submitted(started, network, rows(1, 2, 3), rows(4))
        tasks[0].cancel()
        await asyncio.sleep(0)
        network.free.set()
        assert (await tasks[1]).item() == 8
        await first
        assert network.calls == [1, 1]
        started.stop()

    asyncio.run(play())


def test_a_full_queue_refuses() -> None:
    async def play() -> None:
        started, network = engine(max_queue_rows=4), Network()
        first = await network.held(started)
        tasks = await submitted(started, network, rows(1, 2, 3, 4))
        assert not started.has_room_for(1)
        with pytest.raises(OverloadedError, match="4 images wait, and the limit is 4"):
            await started.run(network, rows(5))
        begun = asyncio.create_task(started.run(network, rows(6), may_wait=True))
        await asyncio.sleep(0)
        network.free.set()
        await asyncio.gather(first, *tasks, begun)
        assert (await started.run(network, rows(7))).item() == 14
        started.stop()

    asyncio.run(play())


def test_ping_does_not_wait_for_a_call_that_has_just_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.inference.engine.SEEN_S", 60.0)

    async def play() -> None:
        started, network = engine(), Network()
        first = await network.held(started)
        await started.ping(timeout_s=0)
        network.free.set()
        await first
        started.stop()

    asyncio.run(play())


def test_ping_goes_ahead_of_the_queue_but_not_of_a_stuck_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.inference.engine.SEEN_S", 0.0)

    async def play() -> None:
        started, network = engine(), Network()
        await started.ping(timeout_s=HANGS_S)
        first = await network.held(started)
        with pytest.raises(StoppedError, match="has not answered"):
            await started.ping(timeout_s=0.05)
        network.free.set()
        await first
        await started.ping(timeout_s=HANGS_S)
        started.stop()

    asyncio.run(play())


def test_a_fault_of_the_thread_fails_who_waits_and_it_begins_anew() -> None:
    async def play() -> None:
        started, network = engine(), Network()
        for _ in range(MAX_FAULTS + 1):  # an answer in between resets the count of faults
            first = await network.held(started)
            doomed = await submitted(started, network, rows(666))
            other = await submitted(started, Network(), rows(1))
            network.free.set()
            await first
            for task in (*doomed, *other):
                with pytest.raises(StoppedError, match="the engine has stopped: SystemExit"):
                    await asyncio.wait_for(task, HANGS_S)
            await started.ping(timeout_s=HANGS_S)
            assert (await started.run(network, rows(4))).tolist() == [[8]]
        assert started._queue.waiting_rows == 0
        started.stop()

    asyncio.run(play())


def test_fault_after_fault_ends_it() -> None:
    async def play() -> None:
        started, network = engine(), Network()
        for _ in range(MAX_FAULTS):
            assert started.is_alive
            with pytest.raises(StoppedError):
                await asyncio.wait_for(started.run(network, rows(666)), HANGS_S)
        assert not started.is_alive
        with pytest.raises(StoppedError):
            await started.run(network, rows(1))
        with pytest.raises(StoppedError):
            await started.ping(timeout_s=1)
        started.stop()

    asyncio.run(play())


class Short:
    """A network that has memory for `room` rows."""

    def __init__(self, error: Exception, *, room: int) -> None:
        self.error = error
        self.room = room

    def __call__(self, rows: Rows) -> Rows:
        if len(rows) > self.room:
            raise self.error
        return rows * 2


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_without_memory_each_is_tried_by_itself(error: Exception) -> None:
    async def play() -> None:
        started, held, short = engine(), Network(), Short(error, room=2)
        first = await held.held(started)
        tasks = [asyncio.create_task(started.run(short, job)) for job in (rows(1, 2), rows(3, 4, 5), rows(6))]
        await asyncio.sleep(0)
        held.free.set()
        await first
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [r.ravel().tolist() for r in results if isinstance(r, np.ndarray)] == [[2, 4], [12]]
        assert isinstance(results[1], ExhaustedError)
        assert "3 images" in str(results[1])
        with pytest.raises(ExhaustedError):  # a job of several calls, none of which can be made
            await asyncio.wait_for(started.run(short, np.ones((3 * MAX_BATCH_ROWS, 1))), HANGS_S)
        assert started._queue.waiting_rows == 0
        started.stop()

    asyncio.run(play())


def test_a_call_that_hangs_is_given_up() -> None:
    async def play() -> None:
        started, network = engine(), Network()
        hanging = await network.held(started)
        waiting = await submitted(started, Network(), rows(1))
        ended: list[bool] = []
        await asyncio.wait_for(watch({started: 0.1}, end=lambda: ended.append(True)), HANGS_S)
        assert ended == [True]
        for task in (hanging, *waiting):
            with pytest.raises(StoppedError, match=r"has not ended within 0\.1 s"):
                await asyncio.wait_for(task, HANGS_S)
        with pytest.raises(StoppedError):
            await started.ping(timeout_s=1)
        network.free.set()
        started.stop()

    asyncio.run(play())


def test_calls_that_end_are_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "TICK_S", 0.01)

    async def play() -> None:
        started, network = engine(), Network()
        ended: list[bool] = []
        watching = asyncio.create_task(watch({started: HANGS_S}, end=lambda: ended.append(True)))
        for value in range(50):
            await started.run(network, rows(value))
            await asyncio.sleep(0.01)
        assert not watching.done()
        started.stop()
        await asyncio.wait_for(watching, HANGS_S)  # a stopped engine ends the watch too

    asyncio.run(play())


def test_stop_finishes_what_waits() -> None:
    async def play() -> None:
        started, network = engine(), Network()
        first = await network.held(started)
        tasks = await submitted(started, network, rows(1), rows(2))
        network.free.set()
        await asyncio.to_thread(started.stop)
        assert [(await task).item() for task in (first, *tasks)] == [2, 2, 4]
        with pytest.raises(StoppedError):
            await started.run(network, rows(1))

    asyncio.run(play())
