"""Clients that go before their answer: what they wait for is dropped, and they cost nothing more."""

import asyncio
import threading
from types import TracebackType

from starlette.types import Receive

from app.problems import ClientGoneError

WATCH_AFTER_S = 0.05
"""Whoever is answered sooner is not watched: that costs a task each."""


async def until_gone(receive: Receive) -> None:
    """Return once the client has gone; the body of its request must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Watch:
    """A block that ends with ClientGoneError when the client goes; what the block waits for is cancelled.

    Args:
        receive: of the request, whose body has been read.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self._gone = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a Watch needs a task to cancel")
        self._task = task
        self._waiting = _Waiting.of_this_loop()
        self._waiting.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiting.remove(self)
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None  # its error will have this block in its traceback: a cycle, which only a pause ends
        if self._gone and isinstance(error, asyncio.CancelledError):
            self._task.uncancel()
            raise ClientGoneError from error

    def begin(self) -> None:
        """Look out for the client's going from now on."""
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        await until_gone(self._receive)
        self._gone = True
        self._task.cancel()


class _Waiting:
    """The blocks of one event loop that are not watched yet: one timer for all of them, not one each."""

    _here = threading.local()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._since: dict[Watch, float] = {}  # the loop's time at which each began to wait, oldest first
        self._timer_runs = False

    @classmethod
    def of_this_loop(cls) -> "_Waiting":
        """Those of the event loop that runs in this thread."""
        loop = asyncio.get_running_loop()
        waiting: _Waiting | None = getattr(cls._here, "waiting", None)
        if waiting is None or waiting.loop is not loop:
            waiting = cls._here.waiting = cls(loop)
        return waiting

    def add(self, watch: Watch) -> None:
        """Have `watch` begin in WATCH_AFTER_S, unless it is removed before."""
        self._since[watch] = self.loop.time()
        if not self._timer_runs:
            self._timer_runs = True
            self.loop.call_later(WATCH_AFTER_S, self._begin_due)

    def remove(self, watch: Watch) -> None:
        """Forget `watch`, whether it has begun or not."""
        self._since.pop(watch, None)

    def _begin_due(self) -> None:
        """Begin those whose time has come, and come back for the next one."""
        now = self.loop.time()
        while self._since:
            watch, since = next(iter(self._since.items()))
            if since + WATCH_AFTER_S > now:
                self.loop.call_at(since + WATCH_AFTER_S, self._begin_due)
                return
            del self._since[watch]
            watch.begin()
        self._timer_runs = False
