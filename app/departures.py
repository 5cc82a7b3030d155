"""Clients that go before their answer: what they wait for is dropped, and they cost nothing more."""

import asyncio
from types import TracebackType

from starlette.types import Receive

WATCH_AFTER_S = 0.05
"""Whoever is answered sooner is not watched: that costs a task each."""


class GoneError(Exception):
    """The client went before its answer came."""


async def until_gone(receive: Receive) -> None:
    """Return once the client has gone; the body of its request must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Watch:
    """A block that ends with GoneError when the client goes; what the block waits for is cancelled.

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
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._gone and isinstance(error, asyncio.CancelledError):
            self._task.uncancel()
            raise GoneError from error

    def _begin(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        await until_gone(self._receive)
        self._gone = True
        self._task.cancel()
