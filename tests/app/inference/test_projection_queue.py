"""The projection queue: jobs run one after the other, are refused, are given up, and end."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from app.inference import watchdog
from app.inference.projection_queue import LateError, ProjectionQueue, QueueFullError
from app.problems import ClientGoneError
from app.telemetry.metrics import Metrics


class Jobs:
    """Jobs that note that they began, and can be held."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.busy = threading.Event()
        self.free = threading.Event()
        self.threads: set[int] = set()

    def job(self, name: str, *, held: bool = False) -> Callable[[], str]:
        def work() -> str:
            self.begun.append(name)
            self.threads.add(threading.get_ident())
            self.busy.set()
            if held:
                assert self.free.wait(120)
            return name

        return work


async def never() -> None:
    await asyncio.Event().wait()


async def held(queue: ProjectionQueue, jobs: Jobs) -> "asyncio.Task[str]":
    """Occupy the thread until `free` is set."""
    task = asyncio.create_task(queue.run(jobs.job("held", held=True), gone=never()))
    await asyncio.to_thread(jobs.busy.wait, 120)
    return task


async def submitted(queue: ProjectionQueue, jobs: Jobs, *names: str) -> "list[asyncio.Task[str]]":
    tasks = [asyncio.create_task(queue.run(jobs.job(name), gone=never())) for name in names]
    await asyncio.sleep(0)
    return tasks


def waiting(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("gan_waiting_projections")


def test_one_after_the_other_on_one_thread() -> None:
    async def scenario() -> None:
        queue, jobs = ProjectionQueue(max_waiting=8, metrics=Metrics()), Jobs()
        tasks = await submitted(queue, jobs, *"abcde")
        assert await asyncio.gather(*tasks) == list("abcde")
        assert jobs.begun == list("abcde")
        assert len(jobs.threads - {threading.get_ident()}) == 1
        queue.stop()

    asyncio.run(scenario())


def test_as_many_wait_as_may_and_no_more() -> None:
    async def scenario() -> None:
        metrics = Metrics()
        queue, jobs = ProjectionQueue(max_waiting=2, metrics=metrics), Jobs()
        assert waiting(metrics) == 0
        first = await held(queue, jobs)
        assert waiting(metrics) == 0
        tasks = await submitted(queue, jobs, "a", "b")
        assert waiting(metrics) == 2
        gone = never()
        with pytest.raises(QueueFullError, match="2 projections wait, and the limit is 2"):
            await queue.run(jobs.job("c"), gone=gone)
        jobs.free.set()
        assert await asyncio.gather(first, *tasks) == ["held", "a", "b"]
        assert await queue.run(jobs.job("d"), gone=never()) == "d"
        assert jobs.begun == ["held", "a", "b", "d"]
        assert waiting(metrics) == 0
        queue.stop()

    asyncio.run(scenario())


def test_a_client_that_goes_before_its_turn() -> None:
    """Its job never begins, and its place in the queue is free."""

    async def scenario() -> None:
        queue, jobs = ProjectionQueue(max_waiting=1, metrics=Metrics()), Jobs()
        first = await held(queue, jobs)
        left = asyncio.Event()
        task = asyncio.create_task(queue.run(jobs.job("left"), gone=_ended(left)))
        await asyncio.sleep(0)
        left.set()
        with pytest.raises(ClientGoneError):
            await task
        (stayed,) = await submitted(queue, jobs, "stayed")
        jobs.free.set()
        assert await first == "held"
        assert await stayed == "stayed"
        assert jobs.begun == ["held", "stayed"]
        queue.stop()

    asyncio.run(scenario())


def test_a_client_that_goes_in_its_turn() -> None:
    """Its job runs to its end, and counts until then."""

    async def scenario() -> None:
        queue, jobs = ProjectionQueue(max_waiting=1, metrics=Metrics()), Jobs()
        left = asyncio.Event()
        task = asyncio.create_task(queue.run(jobs.job("held", held=True), gone=_ended(left)))
        await asyncio.to_thread(jobs.busy.wait, 120)
        left.set()
        with pytest.raises(ClientGoneError):
            await task
        (waits,) = await submitted(queue, jobs, "waits")
        gone = never()
        with pytest.raises(QueueFullError):
            await queue.run(jobs.job("refused"), gone=gone)
        jobs.free.set()
        assert await waits == "waits"
        queue.stop()

    asyncio.run(scenario())


def test_a_request_that_is_cancelled() -> None:
    async def scenario() -> None:
        queue, jobs = ProjectionQueue(max_waiting=4, metrics=Metrics()), Jobs()
        first = await held(queue, jobs)
        (task,) = await submitted(queue, jobs, "cancelled")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        jobs.free.set()
        assert await first == "held"
        assert await queue.run(jobs.job("next"), gone=never()) == "next"
        assert jobs.begun == ["held", "next"]
        queue.stop()

    asyncio.run(scenario())


def test_a_failure_is_its_own_only() -> None:
    def fail() -> str:
        raise ArithmeticError("it went wrong")

    async def scenario() -> None:
        queue, jobs = ProjectionQueue(max_waiting=4, metrics=Metrics()), Jobs()
        with pytest.raises(ArithmeticError, match="it went wrong"):
            await queue.run(fail, gone=never())
        assert await queue.run(jobs.job("next"), gone=never()) == "next"
        queue.stop()

    asyncio.run(scenario())


def test_a_projection_after_the_end() -> None:
    async def scenario() -> None:
        queue, jobs = ProjectionQueue(max_waiting=4, metrics=Metrics()), Jobs()
        queue.stop()
        with pytest.raises(LateError, match="the service is stopping, and makes no more projections"):
            await queue.run(jobs.job("late"), gone=never())
        assert jobs.begun == []

    asyncio.run(scenario())


def test_the_end_drops_what_waits_and_finishes_what_runs() -> None:
    async def scenario() -> None:
        queue, jobs = ProjectionQueue(max_waiting=4, metrics=Metrics()), Jobs()
        first = await held(queue, jobs)
        (task,) = await submitted(queue, jobs, "dropped")
        stopped = asyncio.create_task(asyncio.to_thread(queue.stop))
        with pytest.raises(asyncio.CancelledError):
            await task
        jobs.free.set()
        await stopped
        assert await first == "held"
        assert jobs.begun == ["held"]

    asyncio.run(scenario())


def test_one_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog notices it. The jobs behind it and later ones get an error, and `stop` does not wait for it."""
    monkeypatch.setattr(watchdog, "TICK_S", 0.01)

    async def scenario() -> None:
        metrics, ends = Metrics(), []
        queue, jobs = ProjectionQueue(max_waiting=4, metrics=metrics), Jobs()
        assert queue.running_call is None
        hangs = await held(queue, jobs)
        (task,) = await submitted(queue, jobs, "waits")
        await watchdog.watch({queue: 0.1}, end=lambda: ends.append("of the process"))
        assert ends == ["of the process"]
        assert not queue.is_alive
        with pytest.raises(LateError, match="has stopped making projections"):
            await task
        with pytest.raises(LateError, match="has stopped making projections"):
            await queue.run(jobs.job("late"), gone=never())
        await asyncio.wait_for(asyncio.to_thread(queue.stop), 120)
        assert waiting(metrics) == 0
        jobs.free.set()
        assert await hangs == "held"
        assert jobs.begun == ["held"]

    asyncio.run(scenario())


def test_one_after_the_other_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "TICK_S", 0.01)

    async def scenario() -> None:
        queue, jobs = ProjectionQueue(max_waiting=4, metrics=Metrics()), Jobs()
        watching = asyncio.create_task(watchdog.watch({queue: 0.5}, end=lambda: pytest.fail("it does not hang")))
        for _ in range(30):
            await queue.run(jobs.job("a"), gone=never())
            await asyncio.sleep(0.02)
        assert not watching.done()
        watching.cancel()
        queue.stop()

    asyncio.run(scenario())


async def _ended(event: asyncio.Event) -> None:
    await event.wait()


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        queue, jobs = ProjectionQueue(max_waiting=8, metrics=Metrics()), Jobs()
        running = await held(queue, jobs)
        monkeypatch.setattr("app.inference.projection_queue.DEADLINE_S", 0.05)
        with pytest.raises(LateError, match=r"the projection has not ended within 0\.05 s"):
            await queue.run(jobs.job("late"), gone=never())
        jobs.free.set()
        assert await running == "held"
        endless = Jobs()
        with pytest.raises(LateError):
            await queue.run(endless.job("endless", held=True), gone=never())
        endless.free.set()
        queue.stop()
        assert jobs.begun == ["held"]  # the late job has been dropped

    asyncio.run(scenario())
