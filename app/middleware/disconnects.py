"""Detects clients that disconnect before their answer, and cancels the work that they waited for."""

import asyncio
import threading
from types import TracebackType

from starlette.types import Receive

from app.problems import ClientGoneError

WATCH_AFTER_S = 0.05
"""Seconds after which a request is watched. One that is answered sooner is not: watching needs an asyncio task."""


async def until_gone(receive: Receive) -> None:
    """Return once the client has gone. The body of its request must have been read before."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Watch:
    """A context that cancels its block when the client disconnects, and then raises ClientGoneError.

    Args:
        receive: the ASGI function that receives the request's messages; the body must have been read.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self._gone = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a Watch must be entered in an asyncio task, which it can cancel")
        self._task = task
        self._waiting = _Waiting.of_this_loop()
        self._waiting.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiting.remove(self)
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None  # breaks a reference cycle (through its traceback) that only garbage collection frees
        if self._gone and isinstance(error, asyncio.CancelledError):
            self._task.uncancel()
            raise ClientGoneError from error

    def begin(self) -> None:
        """Begin to watch whether the client disconnects."""
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        await until_gone(self._receive)
        self._gone = True
        self._task.cancel()


class _Waiting:
    """The contexts (`Watch`) of one event loop that do not watch yet. One timer serves all of them."""

    _here = threading.local()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._since: dict[Watch, float] = {}  # the loop's time at which each watch began to wait, oldest first
        self._timer_runs = False

    @classmethod
    def of_this_loop(cls) -> "_Waiting":
        """Return the `_Waiting` of the event loop that runs in this thread; the first call makes it."""
        loop = asyncio.get_running_loop()
        waiting: _Waiting | None = getattr(cls._here, "waiting", None)
        if waiting is None or waiting.loop is not loop:
            waiting = cls._here.waiting = cls(loop)
        return waiting

    def add(self, watch: Watch) -> None:
        """Let `watch` begin to watch in `WATCH_AFTER_S` seconds, unless it is removed before."""
        self._since[watch] = self.loop.time()
        if not self._timer_runs:
            self._timer_runs = True
            self.loop.call_later(WATCH_AFTER_S, self._begin_due)

    def remove(self, watch: Watch) -> None:
        """Forget `watch`, whether it watches already or not."""
        self._since.pop(watch, None)

    def _begin_due(self) -> None:
        """Begin the watches whose time has come, and set the timer for the next one."""
        now = self.loop.time()
        while self._since:
            watch, since = next(iter(self._since.items()))
            if since + WATCH_AFTER_S > now:
                self.loop.call_at(since + WATCH_AFTER_S, self._begin_due)
                return
            del self._since[watch]
            watch.begin()
        self._timer_runs = False
