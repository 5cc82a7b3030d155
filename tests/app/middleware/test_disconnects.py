"""If a client disconnects before its answer, the work for it is dropped."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import app.middleware.disconnects
from app.main import create_app
from app.middleware.disconnects import WATCH_AFTER_S, Watch, _Waiting
from app.problems import ClientGoneError
from app.settings import Settings


async def never() -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


async def goes() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def waits_for_ever(receive: Any) -> None:
    with Watch(receive):
        await asyncio.Event().wait()


def test_who_goes_ends_the_block() -> None:
    async def play() -> None:
        with pytest.raises(ClientGoneError):
            await asyncio.wait_for(waits_for_ever(goes), 120)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    asyncio.run(play())


def test_a_rest_of_the_body_is_no_departure() -> None:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def play() -> None:
        with pytest.raises(ClientGoneError):
            await asyncio.wait_for(waits_for_ever(receive), 120)
        assert not messages

    asyncio.run(play())


def test_whoever_cancels_the_task_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.middleware.disconnects, "WATCH_AFTER_S", 0)

    async def play() -> None:
        task = asyncio.create_task(waits_for_ever(never))
        for _ in range(3):
            await asyncio.sleep(0)  # the watcher waits too
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [other for other in asyncio.all_tasks() if other is not asyncio.current_task()] == []

    asyncio.run(play())


def test_errors_and_quick_answers_pass() -> None:
    async def play() -> None:
        with Watch(goes):
            pass
        with pytest.raises(ValueError, match="inside"), Watch(goes):
            raise ValueError("inside")
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(play())


def test_all_that_wait_are_watched() -> None:
    """This holds for blocks that wait together, for later ones, and for those of another event loop."""

    async def play() -> None:
        for _ in range(2):
            ends = asyncio.gather(*[waits_for_ever(goes) for _ in range(3)], return_exceptions=True)
            assert [type(end) for end in await asyncio.wait_for(ends, 120)] == [ClientGoneError] * 3

    for _ in range(2):
        asyncio.run(play())


class Clock:
    """An event loop's time and timers, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any) -> None:
        self.timers.append((when, callback))

    def call_later(self, delay: float, callback: Any) -> None:
        self.call_at(self.now + delay, callback)

    def go_to(self, now: float) -> None:
        self.now = now
        due = [callback for when, callback in self.timers if when <= now]
        self.timers = [timer for timer in self.timers if timer[0] > now]
        for callback in due:
            callback()


class Begun:
    """A watch that only notes whether it has begun."""

    def __init__(self) -> None:
        self.begun = False

    def begin(self) -> None:
        self.begun = True


def test_each_waits_its_own_time_for_one_timer() -> None:
    clock: Any = Clock()
    waiting = _Waiting(clock)
    watches: Any = [Begun() for _ in range(4)]
    start = clock.now
    for k, watch in enumerate(watches):
        clock.go_to(start + k * WATCH_AFTER_S / 5)
        waiting.add(watch)
        assert len(clock.timers) == 1
    waiting.remove(watches[1])
    for k in range(4):
        clock.go_to(start + k * WATCH_AFTER_S / 5 + WATCH_AFTER_S)
        assert [watch.begun for watch in watches] == [True, False, k >= 2, k >= 3]
    assert clock.timers == []
    waiting.add(watches[1])
    assert len(clock.timers) == 1


@pytest.mark.parametrize("path", ["/v1/samples", "/v1/interpolations"])
def test_what_they_waited_for_is_never_drawn(models_dir: Path, path: str) -> None:
    """The engine is busy, and a client asks and goes. Its request is counted as 499, and G never runs for it."""
    query = {"/v1/samples": b"n=4000&seed=7", "/v1/interpolations": b"seeds=1,2&steps=200"}[path]
    free = threading.Event()

    def held(rows: Any) -> Any:
        assert free.wait(30)
        return rows

    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": []}

    async def play() -> None:
        application = create_app(Settings(models_dir=models_dir))
        async with application.router.lifespan_context(application):
            state = application.state.gan
            holding = asyncio.create_task(state.engine.run(held, np.zeros((1, 1), dtype=np.float32)))
            await asyncio.sleep(0)
            await asyncio.wait_for(application(scope, receive, send), 120)
            assert sent[0]["status"] == 499
            free.set()
            await holding
            await state.engine.run(np.copy, np.zeros((1, 1), dtype=np.float32))  # queued behind the dropped job
            state.metrics.settle()
            text = state.metrics.text().decode()
            assert f'route="{path}",status="499"}} 1.0' in text
            assert "gan_engine_waiting_rows 0.0" in text
            assert "gan_images_generated_total{" not in text

    asyncio.run(play())
