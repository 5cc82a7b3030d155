"""The shortest way for a small picture of `GET /v1/samples`: from the request's head to the socket without a task.

What is plainly right (`app.express`) goes it, as long as nothing comes in between. Whatever else there is to say, a
full queue or a fault included, is said on the ordinary way: the request goes that from its beginning, as if nothing had
been tried. A task, ASGI's messages and the coroutines of each layer take as long as G.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from fastapi import FastAPI
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from app import permalinks
from app.engine import Rows
from app.express import PATH, headers_of, query_of
from app.problems import CLIENT_CLOSED_REQUEST
from app.responses import WholeResponse
from app.routes import samples
from app.routes.samples import Job
from app.state import State

_BODY = {b"content-length", b"transfer-encoding", b"expect"}


@dataclass(frozen=True, slots=True)
class _Request:
    """One that goes this way: uvicorn's side of it, who has to be asked, and when it came."""

    cycle: RequestResponseCycle
    state: State
    came: float


class Shortcut:
    """Answers requests that have been read by uvicorn.

    Args:
        app: the service.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._common: list[tuple[bytes, bytes]] | None = None
        self._common_lines = b""

    def take(self, cycle: RequestResponseCycle, *, otherwise: Callable[[], None]) -> asyncio.Future[Rows] | None:
        """Answer a request, or begin to.

        Args:
            cycle: the request, whose answer has not begun; no other of its connection is under way.
            otherwise: has the request go the ordinary way; called when that turns out to be right later.

        Returns:
            What it waits for, for its client's going to cancel; None when it has been answered, or is to go the
            ordinary way at once: `cycle.response_complete` tells.
        """
        scope = cast("Scope", cycle.scope)
        if scope["method"] != "GET" or not scope["path"].endswith(PATH) or cycle.flow.write_paused:
            return None
        root_path = self._app.root_path
        if root_path:
            scope["root_path"] = root_path
        request = _Request(cycle, self._app.state.gan, time.perf_counter())
        query, headers = query_of(scope), headers_of(scope)
        if query is None or headers is None or any(name in _BODY for name, _ in scope["headers"]):
            return None
        try:
            job, sent = samples.prepare(request.state, query, root_path=root_path, accept=headers.get(b"accept"))
            if not permalinks.matches(headers.get(b"if-none-match"), sent["ETag"]):
                return self._begin(request, job, sent, otherwise)
        except Exception:  # noqa: BLE001  (whatever it is: it is met again on the ordinary way, and told there)
            return None
        self._answer(request, samples.unmodified(sent))
        return None

    def _begin(
        self, request: _Request, job: Job, headers: dict[str, str], otherwise: Callable[[], None]
    ) -> asyncio.Future[Rows] | None:
        """Have a picture drawn, if it is of those that go this way."""
        words = job.words() if job.is_small_picture else None
        if words is None:
            return None
        drawn = request.state.engine.submit(job.served.drawer, words)
        drawn.add_done_callback(lambda drawn: self._end(request, job, headers, drawn, otherwise))
        return drawn

    def _end(
        self,
        request: _Request,
        job: Job,
        headers: dict[str, str],
        drawn: asyncio.Future[Rows],
        otherwise: Callable[[], None],
    ) -> None:
        """Answer with what has been drawn."""
        if drawn.cancelled() or request.cycle.disconnected or request.cycle.transport.is_closing():
            _count(request, CLIENT_CLOSED_REQUEST)
            return
        try:
            response = samples.picture(request.state, job, drawn.result(), headers)
        except Exception:  # noqa: BLE001  (as above)
            otherwise()
            return
        request.state.metrics.images_of(job.served.model.name).inc(job.n)
        self._answer(request, response)

    def _answer(self, request: _Request, response: WholeResponse) -> None:
        """Write an answer, and tell uvicorn's side that it is complete."""
        cycle = request.cycle
        lines = [STATUS_LINE[response.status_code], self._lines(cycle.default_headers)]
        for name, value in response.raw_headers:
            lines += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        lines += (b"\r\n", bytes(response.body))
        cycle.transport.write(b"".join(lines))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        _count(request, response.status_code)
        cycle.on_response()

    def _lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The headers of every answer."""
        if headers is not self._common:  # another date: once a second
            self._common = headers
            self._common_lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._common_lines


def _count(request: _Request, status: int) -> None:
    request.state.metrics.count_request(PATH, "GET", status, seconds=time.perf_counter() - request.came)
