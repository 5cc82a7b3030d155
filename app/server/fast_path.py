"""The shortest way for a small picture of `GET /v1/samples`: from the request's head to the socket without a task.

What is plainly right (`app.api.express`) goes it, as long as nothing comes in between. Whatever else there is to say, a
full queue or a fault included, is said on the ordinary way: the request goes that from its beginning, as if nothing had
been tried. A task, ASGI's messages and the coroutines of each layer take as long as G.

Requests that differ from one before in their seed alone have its plan, and are not checked again.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from fastapi import FastAPI
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from app.api import caching
from app.api.content_negotiation import SAMPLES_FORMATS
from app.api.express import goes_to_samples, headers_of, query_of
from app.api.sample_request import PATH, Job, Plan
from app.api.state import State
from app.inference.engine import Rows
from app.problems import CLIENT_CLOSED_REQUEST

MAX_PLANS = 256
MAX_PLAN_CHARACTERS = 256
"""Of a request's query without its seed, if its plan is to be kept."""

SEED_DIGITS = 15
"""A number of so many is below 2⁵³."""

_PNG = f"content-type: {SAMPLES_FORMATS['png']}\r\n"

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Drawing:
    """A picture that is drawn: it stands among the tasks of a server, and is cancelled as they are.

    Attributes:
        cycle: uvicorn's side of the request.
        state: of the service.
        came: when the request did, by `time.perf_counter`.
        job: what is drawn.
        tasks: the server's.
        otherwise: has the request go the ordinary way.
        gone: whether it has been cancelled.
    """

    cycle: RequestResponseCycle
    state: State
    came: float
    job: Job
    tasks: set[Any]
    otherwise: Callable[[], None]
    gone: bool = False

    def cancelled(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.gone

    def cancel(self, msg: str | None = None) -> bool:  # noqa: ARG002  (a task's)
        """The client has gone, or the server ends."""
        if self.gone or self not in self.tasks:
            return False
        self.gone = True
        asyncio.get_running_loop().call_soon(self.leave)  # not at once: the server may be going through its tasks
        _count(self.state, CLIENT_CLOSED_REQUEST, came=self.came)
        return True

    def enter(self) -> None:
        """Stand among the tasks."""
        self.tasks.add(self)

    def leave(self) -> None:
        """Stand there no more."""
        self.tasks.discard(self)


class Shortcut:
    """Answers requests that have been read by uvicorn.

    Args:
        app: the service.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._common: list[tuple[bytes, bytes]] | None = None
        self._common_lines = b""
        self._state: State | None = None  # whose plans these are
        self._plans: dict[tuple[bytes, bytes, str | None], Plan] = {}

    def take(self, cycle: RequestResponseCycle, tasks: set[Any], *, otherwise: Callable[[], None]) -> Drawing | None:
        """Answer a request, or begin to.

        Args:
            cycle: the request, whose answer has not begun; no other of its connection is under way.
            tasks: the server's, for what is begun to stand among.
            otherwise: has the request go the ordinary way; called when that turns out to be right later.

        Returns:
            What is begun, for its client's going to cancel; None when it has been answered, or is to go the ordinary
            way at once: `cycle.response_complete` tells.
        """
        scope = cast("Scope", cycle.scope)
        root_path = self._app.root_path
        if root_path:
            scope["root_path"] = root_path
        if scope["method"] != "GET" or not goes_to_samples(scope) or cycle.flow.write_paused:
            return None
        if (headers := headers_of(scope)) is None:
            return None
        state, came = self._app.state.gan, time.perf_counter()
        try:
            job = self._job(state, scope, headers.get(b"accept"), root_path)
            if job is None:
                return None
            known = headers.get(b"if-none-match")
            if known is None or not caching.matches(known, job.etag):
                return self._begin(Drawing(cycle, state, came, job, tasks, otherwise))
            self._answer(cycle, 304, job.lines())
            _count(state, 304, came=came)
        except Exception:  # noqa: BLE001  (whatever it is: it is met again on the ordinary way, and told there)
            return None
        return None

    def _begin(self, drawing: Drawing) -> Drawing | None:
        """Have a picture drawn, if it is of those that go this way."""
        plan, engine = drawing.job.plan, drawing.state.engine
        if not (plan.is_small and plan.draws_the_prior and engine.has_room_for(plan.n)):
            return None
        engine.submit(plan.served.drawer, drawing.job.words(), drawing, self._receive)
        drawing.enter()
        return drawing

    def _job(self, state: State, scope: Scope, accept: str | None, root_path: str) -> Job | None:
        """What a request asks for; None if it is not plainly right."""
        if state is not self._state:  # other models, perhaps
            self._state, self._plans = state, {}
        before, _, behind = scope["query_string"].partition(b"seed=")
        number, _, after = behind.partition(b"&")
        has_seed = number.isdigit() and len(number) <= SEED_DIGITS
        kept = has_seed and len(before) + len(after) + len(accept or "") <= MAX_PLAN_CHARACTERS
        if kept and (plan := self._plans.get((before, after, accept))) is not None:
            return Job(plan, int(number))
        if (query := query_of(scope)) is None:
            return None
        plan = Plan.of(state, query, accept, root_path=root_path, is_public=True)
        if kept and query.seed == int(number):
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[before, after, accept] = plan
        return plan.job()

    def _receive(self, answers: list[tuple[Drawing, Rows | Exception]]) -> None:
        """Answer with what has been drawn in one call."""
        for drawing, images in answers:
            if drawing.gone:
                continue
            drawing.leave()
            try:
                self._end(drawing, images)
            except Exception:  # noqa: BLE001  (it is one's own; the others get their answers)
                _log.exception("an answer could not be written")
                drawing.cycle.transport.abort()

    def _end(self, drawing: Drawing, images: Rows | Exception) -> None:
        if drawing.cycle.disconnected or drawing.cycle.transport.is_closing():
            _count(drawing.state, CLIENT_CLOSED_REQUEST, came=drawing.came)
            return
        metrics, plan = drawing.state.metrics, drawing.job.plan
        try:
            if isinstance(images, Exception):
                raise images
            started = time.perf_counter()
            png = drawing.job.png(images)
            encoded = time.perf_counter()
            headers = f"{drawing.job.lines()}content-length: {len(png)}\r\n{_PNG}"
        except Exception:  # noqa: BLE001  (as above)
            drawing.otherwise()
            return
        self._answer(drawing.cycle, 200, headers, png)
        metrics.count_picture(PATH, plan.served.model.name, plan.n, came=drawing.came, started=started, encoded=encoded)

    def _answer(self, cycle: RequestResponseCycle, status: int, headers: str, body: bytes = b"") -> None:
        """Write an answer, and tell uvicorn's side that it is complete."""
        if cycle.default_headers is not self._common:  # another date: once a second
            self._common = cycle.default_headers
            self._common_lines = b"".join(b"%b: %b\r\n" % header for header in cycle.default_headers)
        end = "\r\n" if cycle.keep_alive else "connection: close\r\n\r\n"
        head = f"{headers}{end}".encode("latin-1")
        cycle.transport.write(b"".join((STATUS_LINE[status], self._common_lines, head, body)))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


def _count(state: State, status: int, *, came: float) -> None:
    state.metrics.count_request(PATH, "GET", status, seconds=time.perf_counter() - came)
