"""The fast path of `GET /v1/samples`: from the request's head to the socket without a task and without ASGI messages.

It is the ordinary way with work left out, not a second one: the same objects observe the request and let it in
(`app.middleware.entrance`), parse it (`app.api.sample_request`), draw it (`app.inference.engine`) and encode it
(`SampleJob.encode`). A task, ASGI's messages and the coroutines of each layer would take as long as G.

Whatever it does not do, a full queue or a fault included, goes the ordinary way from the request's beginning. Each such
fallback is counted in `/metrics` by its reason, and the first of each reason is logged. See docs/decisions/0011.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from app.api import caching
from app.api.content_negotiation import SAMPLES_FORMATS
from app.api.routes import samples
from app.api.sample_request import PATH, SampleJob, SamplePlan, read_head
from app.api.state import State
from app.inference.jobs import Rows
from app.middleware.access_log import Observation, Observer
from app.middleware.entrance import Entrance
from app.problems import CLIENT_CLOSED_REQUEST, Problem
from app.request_headers import headers_of

MAX_HEADS = 1024
"""Heads of answers that are kept; when there are more, all are dropped."""

MAX_ORIGIN_BYTES = 256
"""The head of an answer is not kept where the request's Origin header is longer."""

_ROUTE = next(route for route in samples.router.routes if "GET" in getattr(route, "methods", ()))

_log = logging.getLogger(__name__)


class Fallback(StrEnum):
    """The reasons for which a `GET /v1/samples` leaves the fast path."""

    PIPELINED = "pipelined"
    SLOW_READER = "slow_reader"
    BODY = "body"
    KEY = "key"
    PROBLEM = "problem"
    LARGE = "large"
    QUEUE = "queue"
    FAULT = "fault"


_EXPLANATIONS = {
    Fallback.PIPELINED: "other requests of its connection come before it",
    Fallback.SLOW_READER: "its client reads too slowly",
    Fallback.BODY: "it has a body, or may have one",
    Fallback.KEY: "it has no known key",
    Fallback.PROBLEM: "it is answered with a problem document",
    Fallback.LARGE: "its answer is an archive, or too large to be encoded on the event loop",
    Fallback.QUEUE: "as many images wait as may",
    Fallback.FAULT: "the fast path met a fault",
}


class _Head(NamedTuple):
    """Header lines of a plan's answers: those before the lines that depend on the seed, and those behind all others."""

    plan: SamplePlan
    before: str
    behind: str


@dataclass(eq=False, slots=True)
class Drawing:
    """A request whose images are being drawn. It stands among the tasks of a server, and is cancelled as they are.

    Attributes:
        cycle: uvicorn's side of the request.
        state: of the service.
        came: when the request did, by `time.perf_counter`.
        job: what is drawn.
        rows: what the network is given.
        tasks: the server's.
        otherwise: has the request go the ordinary way.
        observer: observes the request; None where requests are not observed.
        gone: whether it has been cancelled.
    """

    cycle: RequestResponseCycle
    state: State
    came: float
    job: SampleJob
    rows: Rows
    tasks: set[Any]
    otherwise: Callable[[], None]
    observer: Observer | None
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
        self.count_gone()
        return True

    def count_gone(self) -> None:
        """Tell that the client went before its answer."""
        _count(self.state, CLIENT_CLOSED_REQUEST, self.came, self.observe())

    def observe(self) -> Observation | None:
        """The observation of the request, where requests are observed. It began when the request came."""
        return None if self.observer is None else self.observer.begin(cast("Scope", self.cycle.scope), self.came)

    def note_times(self, came: float, began: float, ended: float) -> None:
        """Note when the engine took the job, and began and ended its calls; by `time.perf_counter`."""
        if (observation := self.observe()) is not None:
            observation.request.add_stage("queue", came, began)
            observation.request.add_stage("inference", began, ended)

    def leave(self) -> None:
        """Stand among the tasks no more."""
        self.tasks.discard(self)


class FastPath:
    """Answers requests that have been read by uvicorn.

    Args:
        app: the service.
        proxy: makes uvicorn's middleware for the headers of proxies, where their word is taken; None: it is not.
    """

    def __init__(self, app: FastAPI, *, proxy: Callable[[ASGIApp], ASGIApp] | None = None) -> None:
        self._app = app
        self._entrance: Entrance = app.state.entrance
        self._proxy = None if proxy is None else proxy(_nothing)
        self._common: list[tuple[bytes, bytes]] | None = None
        self._common_lines = b""
        self._state: State | None = None  # whose heads these are
        self._heads: dict[tuple[int, bytes | None], _Head] = {}
        self._told: set[Fallback] = set()

    def take(
        self, cycle: RequestResponseCycle, tasks: set[Any], otherwise: Callable[[], None], *, alone: bool
    ) -> Drawing | None:
        """Answer a request, or begin to.

        Args:
            cycle: the request, whose answer has not begun.
            tasks: the server's, among which stands what is begun.
            otherwise: has the request go the ordinary way; called when that turns out to be right later.
            alone: whether no other request of the connection is under way or waits.

        Returns:
            What is begun, to be cancelled when the client goes; None when the request has been answered, or is to go
            the ordinary way at once: `cycle.response_complete` tells which.
        """
        scope = cast("Scope", cycle.scope)
        if self._app.root_path:
            scope["root_path"] = self._app.root_path
        if scope["method"] != "GET" or not _is_for_samples(scope):
            return None
        state: State = self._app.state.gan
        if state is not self._state:  # other models, perhaps: heads hold plans, and plans hold models
            self._state, self._heads = state, {}
        try:
            if not alone:
                taken: Drawing | Fallback | None = Fallback.PIPELINED
            elif cycle.flow.write_paused:
                taken = Fallback.SLOW_READER
            else:
                taken = self._begin(state, cycle, scope, tasks, otherwise)
        except Exception:  # noqa: BLE001  (whatever it is, the ordinary way meets it again, and answers)
            self._fall_back(state, Fallback.FAULT, scope)
            return None
        if isinstance(taken, Fallback):
            self._fall_back(state, taken, scope)
            return None
        return taken

    def _begin(
        self,
        state: State,
        cycle: RequestResponseCycle,
        scope: Scope,
        tasks: set[Any],
        otherwise: Callable[[], None],
    ) -> Drawing | Fallback | None:
        came = time.perf_counter()
        head = read_head(scope)
        if head.has_body:
            return Fallback.BODY
        observer = self._entrance.observer
        if observer is not None:
            if self._proxy is not None:
                _run_at_once(self._proxy, scope)
            if self._entrance.traces:  # a span begins now; else a request is observed when its answer is known
                observer.begin(scope, came)
        if not self._entrance.admit(scope):
            return Fallback.KEY
        try:
            job = state.sample_requests.parse(scope, head=head)
        except (Problem, RequestValidationError):
            return Fallback.PROBLEM
        scope["route"] = _ROUTE  # observations tell it
        if head.if_none_match is not None and caching.matches(head.if_none_match, job.etag):
            observation = None if observer is None else observer.begin(scope, came)
            self._answer(cycle, 304, self._lines(scope, job, "", observation))
            _count(state, 304, came, observation)
            return None
        if (reason := _hindrance(state, job)) is not None:
            return reason
        drawing = Drawing(cycle, state, came, job, job.rows(), tasks, otherwise, observer)
        note = drawing.note_times if self._entrance.traces else None
        state.engine.submit(job.network, drawing.rows, drawing, self._receive, note_times=note)
        tasks.add(drawing)
        return drawing

    def _receive(self, answers: list[tuple[Drawing, Rows | Exception]]) -> None:
        """Answer with what has been drawn in one call."""
        for drawing, images in answers:
            if drawing.gone:
                continue
            drawing.leave()
            try:
                self._end(drawing, images)
            except Exception:  # noqa: BLE001  (the others of the call get their answers)
                _log.exception("an answer could not be written")
                drawing.cycle.transport.abort()

    def _end(self, drawing: Drawing, images: Rows | Exception) -> None:
        if drawing.cycle.disconnected or drawing.cycle.transport.is_closing():
            drawing.count_gone()
            return
        job = drawing.job
        try:
            if isinstance(images, Exception):
                raise images
            started = time.perf_counter()
            body = job.encode(drawing.rows, images)
            encoded = time.perf_counter()
            observation = drawing.observe()
            described = f"content-length: {len(body)}\r\ncontent-type: {SAMPLES_FORMATS[job.plan.form]}\r\n"
            lines = self._lines(cast("Scope", drawing.cycle.scope), job, described, observation)
        except Exception:  # noqa: BLE001  (as in `take`)
            self._fall_back(drawing.state, Fallback.FAULT, cast("Scope", drawing.cycle.scope))
            drawing.otherwise()
            return
        self._answer(drawing.cycle, 200, lines, body)
        plan = job.plan
        drawing.state.metrics.count_samples(
            PATH, plan.served.model.name, plan.n, plan.form, came=drawing.came, started=started, encoded=encoded
        )
        if observation is not None:
            if observation.is_traced:
                observation.request.add_stage("encode", started, encoded)
            observation.end(200, len(body))

    def _lines(self, scope: Scope, job: SampleJob, described: str, observation: Observation | None) -> str:
        """The header lines of an answer, in the order of the ordinary way.

        Args:
            scope: of the request.
            job: of the request.
            described: the lines of the body's length and type; "" without a body.
            observation: of the request, where requests are observed.
        """
        origin = headers_of(scope).get(b"origin") if self._entrance.varies_by_origin else None
        head = self._heads.get((id(job.plan), origin))
        if head is None or head.plan is not job.plan:
            head = self._keep_head(job.plan, origin)
        lines = f"{head.before}{job.seed_lines()}{described}{head.behind}"
        return lines if observation is None else f"{lines}x-request-id: {observation.request.text}\r\n"

    def _keep_head(self, plan: SamplePlan, origin: bytes | None) -> _Head:
        """The lines of a plan as the entrance rewrites them."""
        fixed = [(name.encode(), value.encode("latin-1")) for name, value in plan.fixed.items()]
        rewritten = self._entrance.rewritten([*fixed, (b"x-seed", b"")], origin=origin)
        place = rewritten.index((b"x-seed", b""))
        head = _Head(plan, _text(rewritten[:place]), _text(rewritten[place + 1 :]))
        if plan.asked.seed is not None and len(origin or b"") <= MAX_ORIGIN_BYTES:  # else no other request has it
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            self._heads[id(plan), origin] = head
        return head

    def _answer(self, cycle: RequestResponseCycle, status: int, lines: str, body: bytes = b"") -> None:
        """Write an answer, and tell uvicorn's side that it is complete."""
        if cycle.default_headers is not self._common:  # another date: once a second
            self._common = cycle.default_headers
            self._common_lines = b"".join(b"%b: %b\r\n" % header for header in cycle.default_headers)
        end = "\r\n" if cycle.keep_alive else "connection: close\r\n\r\n"
        head = f"{lines}{end}".encode("latin-1")
        cycle.transport.write(b"".join((STATUS_LINE[status], self._common_lines, head, body)))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()

    def _fall_back(self, state: State, reason: Fallback, scope: Scope) -> None:
        """Count a request that goes the ordinary way; the first of each reason is logged."""
        state.metrics.count_fallback(reason)
        if reason in self._told:
            return
        self._told.add(reason)
        is_fault = reason is Fallback.FAULT
        _log.log(
            logging.WARNING if is_fault else logging.INFO,
            "a request for samples left the fast path (%s: %s); gan_fast_path_fallbacks_total counts the next ones",
            reason.value,
            _EXPLANATIONS[reason],
            exc_info=is_fault,
            extra={"request": scope.get("gan.request_id")},
        )


def _hindrance(state: State, job: SampleJob) -> Fallback | None:
    """Why a job cannot be begun here, if it cannot: its answer is not small, or there is no room."""
    if not job.plan.is_inline:
        return Fallback.LARGE
    return None if state.engine.has_room_for(job.plan.n) else Fallback.QUEUE


def _is_for_samples(scope: Scope) -> bool:
    """Whether a request's path is the route's."""
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "")
    return path == PATH or (path.startswith(f"{root_path}/") and path[len(root_path) :] == PATH)


def _text(headers: list[tuple[bytes, bytes]]) -> str:
    return "".join(f"{name.decode('latin-1')}: {value.decode('latin-1')}\r\n" for name, value in headers)


def _count(state: State, status: int, came: float, observation: Observation | None) -> None:
    """Count a request whose answer has no body."""
    state.metrics.count_request(PATH, "GET", status, seconds=time.perf_counter() - came)
    if observation is not None:
        observation.end(status, 0)


def _run_at_once(app: ASGIApp, scope: Scope) -> None:
    """Run a middleware whose application waits for nothing, for what it does to a scope."""
    running = app(scope, _no_message, _no_answer)
    try:
        running.send(None)  # type: ignore[attr-defined]
    except StopIteration:
        return
    raise RuntimeError(f"{type(app).__name__} waits for something")


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that does nothing."""


async def _no_message() -> dict[str, Any]:
    raise RuntimeError("nothing is received here")


async def _no_answer(message: object) -> None:
    raise RuntimeError(f"nothing is sent here: {message!r}")
