"""The fast path of `GET /v1/samples`: from the request's head to the socket without a task and without ASGI messages.

It is the ordinary path with work left out, not a second implementation: the same objects observe and admit a request
(`app.middleware.entrance`), parse it (`app.api.sample_request`), draw it (`app.inference.engine`) and encode it
(`SampleJob.encode`). A task, ASGI's messages and the coroutines of each layer would take as long as G.

A request that the fast path cannot answer, because of a full queue or a fault for example, takes the ordinary path from
its beginning. Each such fallback is counted in `/metrics` by its reason, and the first of each reason is logged. See
docs/decisions/0011-fast-path.md.
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

from app.api.content_negotiation import SAMPLES_FORMATS
from app.api.routes import samples
from app.api.sample_request import PATH, SampleJob, SamplePlan, read_head
from app.api.state import State
from app.inference.jobs import Rows
from app.middleware.access_log import Observation, Observer
from app.middleware.entrance import Entrance
from app.problems import CLIENT_CLOSED_REQUEST, Problem

MAX_HEADS = 1024
"""The most answer heads (status line and headers) that are kept. When there would be more, all are dropped."""

MAX_ORIGIN_BYTES = 256
"""The head of an answer is not kept if the request's Origin header is longer."""

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
    Fallback.PIPELINED: "other requests of its connection wait after it",
    Fallback.SLOW_READER: "its client has not read earlier answers",
    Fallback.BODY: "it has a header that announces a body",
    Fallback.KEY: "it has no valid API key",
    Fallback.PROBLEM: "it is answered with a problem document",
    Fallback.LARGE: "its answer is an archive, or too large to encode on the event loop",
    Fallback.QUEUE: "the engine's queue has no room for its images",
    Fallback.FAULT: "an error occurred, whose traceback follows",
}


class _Head(NamedTuple):
    """The header lines that answers of one `SamplePlan` share: those before the lines of the seed, and those after."""

    plan: SamplePlan
    before: str
    behind: str


@dataclass(eq=False, slots=True)
class Drawing:
    """A request whose images are being drawn. It is in the server's set of tasks, and can be cancelled like a task.

    Attributes:
        cycle: uvicorn's object for the request.
        state: the objects that all requests share.
        came: the time when the request arrived, by `time.perf_counter`.
        job: the images to draw.
        rows: the network's input.
        tasks: the server's set of tasks.
        otherwise: function that sends the request along the ordinary path.
        observer: the object that observes the request; None if requests are not observed.
        gone: whether the request has been cancelled.
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

    @property
    def scope(self) -> Scope:
        """The request's scope (ASGI)."""
        return cast("Scope", self.cycle.scope)

    def cancelled(self) -> bool:
        """Whether the request has been cancelled, so that nobody waits for its images."""
        return self.gone

    def cancel(self, msg: str | None = None) -> bool:  # noqa: ARG002  (as in `asyncio.Task`)
        """Drop the request, because the client has gone or the server ends. Return False if it was not waiting."""
        if self.gone or self not in self.tasks:
            return False
        self.gone = True
        asyncio.get_running_loop().call_soon(self.leave)  # later, because the server may be iterating over its tasks
        self.count_gone()
        return True

    def count_gone(self) -> None:
        """Count the request as one whose client disconnected before its answer."""
        _count(self.state, self.scope, CLIENT_CLOSED_REQUEST, self.came, self.observe())

    def observe(self) -> Observation | None:
        """Return the request's observation, which began when the request arrived; None if requests are not observed."""
        return None if self.observer is None else self.observer.begin(self.scope, self.came)

    def note_times(self, came: float, began: float, ended: float) -> None:
        """Note when the engine took the job, and when it began and ended its calls, by `time.perf_counter`."""
        if (observation := self.observe()) is not None:
            observation.request.add_stage("queue", came, began)
            observation.request.add_stage("inference", began, ended)

    def leave(self) -> None:
        """Remove the request from the server's set of tasks."""
        self.tasks.discard(self)


class FastPath:
    """Answers requests for samples that uvicorn has read, without ASGI messages.

    Args:
        app: the FastAPI application of the service.
        proxy: function that wraps an application in uvicorn's middleware for the headers of proxies; None if no proxy
            is trusted.
    """

    def __init__(self, app: FastAPI, *, proxy: Callable[[ASGIApp], ASGIApp] | None = None) -> None:
        self._app = app
        self._entrance: Entrance = app.state.entrance
        self._proxy = None if proxy is None else proxy(_nothing)
        self._common: list[tuple[bytes, bytes]] | None = None
        self._common_lines = b""
        self._state: State | None = None  # the state for which the heads were made
        self._heads: dict[tuple[int, bytes | None], _Head] = {}
        self._told: set[Fallback] = set()

    def take(
        self, cycle: RequestResponseCycle, tasks: set[Any], otherwise: Callable[[], None], *, alone: bool
    ) -> Drawing | None:
        """Answer a request, or begin to answer it.

        Args:
            cycle: uvicorn's object for the request, whose answer has not begun.
            tasks: the server's set of tasks, to which the drawing is added.
            otherwise: function that sends the request along the ordinary path; called if drawing or encoding fails
                later.
            alone: whether no other request of the connection is under way or waits.

        Returns:
            The drawing that has begun; the caller cancels it when the client goes. None if the request has been
            answered, or must take the ordinary path now: `cycle.response_complete` is true in the first case.
        """
        scope = cast("Scope", cycle.scope)
        if self._app.root_path:
            scope["root_path"] = self._app.root_path
        if scope["method"] != "GET" or not _is_for_samples(scope):
            return None
        state: State = self._app.state.gan
        if state is not self._state:  # after a reload the models may differ: heads hold plans, and plans hold models
            self._state, self._heads = state, {}
        try:
            if not alone:
                taken: Drawing | Fallback | None = Fallback.PIPELINED
            elif cycle.flow.write_paused:
                taken = Fallback.SLOW_READER
            else:
                taken = self._begin(state, cycle, scope, tasks, otherwise)
        except Exception:  # noqa: BLE001  (the ordinary path meets the same error, and answers with it)
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
        scope["route"] = _ROUTE  # for the access log and the span
        if head.if_none_match is not None and job.is_known(head.if_none_match):
            observation = None if observer is None else observer.begin(scope, came)
            self._answer(cycle, 304, self._lines(scope, job, "", observation))
            _count(state, scope, 304, came, observation)
            return None
        if (reason := _hindrance(state, job)) is not None:
            return reason
        drawing = Drawing(cycle, state, came, job, job.rows(), tasks, otherwise, observer)
        note = drawing.note_times if self._entrance.traces else None
        state.engine.submit(job.network, drawing.rows, drawing, self._receive, note_times=note)
        tasks.add(drawing)
        return drawing

    def _receive(self, answers: list[tuple[Drawing, Rows | Exception]]) -> None:
        """Answer the requests whose images were drawn in one call."""
        for drawing, images in answers:
            if drawing.gone:
                continue
            drawing.leave()
            try:
                self._end(drawing, images)
            except Exception:  # noqa: BLE001  (the other requests of the call still get their answers)
                _log.exception("an answer could not be written; its connection is closed")
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
            lines = self._lines(drawing.scope, job, described, observation)
        except Exception:  # noqa: BLE001  (as in `take`)
            self._fall_back(drawing.state, Fallback.FAULT, drawing.scope)
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
            observation.end(drawing.scope, 200, len(body))

    def _lines(self, scope: Scope, job: SampleJob, described: str, observation: Observation | None) -> str:
        """Return the header lines of an answer, in the order of the ordinary path.

        Args:
            scope: the request's scope (ASGI).
            job: the request's job.
            described: the lines with the body's length and type; "" without a body.
            observation: the request's observation, or None if requests are not observed.
        """
        origin = dict(scope["headers"]).get(b"origin") if self._entrance.varies_by_origin else None
        head = self._heads.get((id(job.plan), origin))
        if head is None or head.plan is not job.plan:
            head = self._keep_head(job.plan, origin)
        lines = f"{head.before}{job.seed_lines()}{described}{head.behind}"
        return lines if observation is None else f"{lines}x-request-id: {observation.request.text}\r\n"

    def _keep_head(self, plan: SamplePlan, origin: bytes | None) -> _Head:
        """Make the header lines that a plan's answers share, as `Entrance` rewrites them, and cache them.

        Args:
            plan: the part of a request that does not depend on the seed.
            origin: the request's Origin header, or None.
        """
        fixed = [(name.encode(), value.encode("latin-1")) for name, value in plan.fixed.items()]
        rewritten = self._entrance.rewritten([*fixed, (b"x-seed", b"")], origin=origin)
        place = rewritten.index((b"x-seed", b""))
        head = _Head(plan, _text(rewritten[:place]), _text(rewritten[place + 1 :]))
        if plan.asked.seed is not None and len(origin or b"") <= MAX_ORIGIN_BYTES:  # else no other request can use it
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            self._heads[id(plan), origin] = head
        return head

    def _answer(self, cycle: RequestResponseCycle, status: int, lines: str, body: bytes = b"") -> None:
        """Write an answer, and mark uvicorn's request as complete.

        Args:
            cycle: uvicorn's object for the request.
            status: the status of the answer.
            lines: the header lines of the answer, each with its line end; uvicorn's default headers are added.
            body: the body of the answer.
        """
        if cycle.default_headers is not self._common:  # uvicorn makes a new list once a second, for the date
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
        """Count a request that takes the ordinary path, and log the first of each reason."""
        state.metrics.count_fallback(reason)
        if reason in self._told:
            return
        self._told.add(reason)
        is_fault = reason is Fallback.FAULT
        _log.log(
            logging.WARNING if is_fault else logging.INFO,
            "a GET of samples could not take the fast path (%s: %s); gan_fast_path_fallbacks_total counts further ones",
            reason.value,
            _EXPLANATIONS[reason],
            exc_info=is_fault,
            extra={"request": scope.get("gan.request_id")},
        )


def _hindrance(state: State, job: SampleJob) -> Fallback | None:
    """Return why the fast path cannot take a job: its answer is not small, or the queue is full. None if it can."""
    if not job.plan.is_inline:
        return Fallback.LARGE
    return None if state.engine.has_room_for(job.plan.n) else Fallback.QUEUE


def _is_for_samples(scope: Scope) -> bool:
    """Whether a request's path is that of `GET /v1/samples`."""
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "")
    return path == PATH or (path.startswith(f"{root_path}/") and path[len(root_path) :] == PATH)


def _text(headers: list[tuple[bytes, bytes]]) -> str:
    return "".join(f"{name.decode('latin-1')}: {value.decode('latin-1')}\r\n" for name, value in headers)


def _count(state: State, scope: Scope, status: int, came: float, observation: Observation | None) -> None:
    """Count a request whose answer has no body, and end its observation.

    Args:
        state: the objects that all requests share.
        scope: the request's scope (ASGI).
        status: the status of the answer.
        came: the time when the request arrived, by `time.perf_counter`.
        observation: the request's observation, or None if requests are not observed.
    """
    state.metrics.count_request(PATH, "GET", status, seconds=time.perf_counter() - came)
    if observation is not None:
        observation.end(scope, status, 0)


def _run_at_once(app: ASGIApp, scope: Scope) -> None:
    """Run a middleware only because it changes a scope. Neither it nor its application may wait for anything."""
    running = app(scope, _no_message, _no_answer)
    try:
        running.send(None)  # type: ignore[attr-defined]
    except StopIteration:
        return
    raise RuntimeError(f"{type(app).__name__} waits for something: the fast path cannot run it")


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that does nothing."""


async def _no_message() -> dict[str, Any]:
    raise RuntimeError("a middleware on the fast path must not receive messages")


async def _no_answer(message: object) -> None:
    raise RuntimeError(f"a middleware on the fast path must not send messages; it sent {message!r}")
