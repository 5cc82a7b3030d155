"""The short way for `GET /v1/samples`: what is plainly right is answered before FastAPI's machinery has run.

The same pydantic model checks the same parameters, and the same function answers. Whatever is not plainly right (a
parameter that is unknown, empty, repeated or does not validate) goes the long way, which says what is wrong with it.
FastAPI's solving of a parameter model takes several times as long as G, and what stands in front of it as long as G.
"""

import asyncio
import time
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.routes import samples
from app.api.sample_request import PATH
from app.api.schemas import SamplesQuery
from app.api.state import State
from app.middleware.disconnects import Watch
from app.problems import CLIENT_CLOSED_REQUEST, ClientGoneError, Problem, internal_error

_ROUTE = next(route for route in samples.router.routes if "GET" in getattr(route, "methods", ()))
_BODY = {b"content-length", b"transfer-encoding", b"expect"}
MAX_HEADER_CHARACTERS = 4096


class Express:
    """Answers what is plainly right, and hands on all else.

    Outermost: what it answers it counts, and a fault there is answered as Starlette does.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and goes_to_samples(scope):
            query, headers = query_of(scope), headers_of(scope)
            if query is not None and headers is not None:
                await _answer(query, headers, scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _answer(query: SamplesQuery, headers: dict[bytes, str], scope: Scope, receive: Receive, send: Send) -> None:
    started = time.perf_counter()
    scope["route"] = _ROUTE
    state: State = scope["app"].state.gan
    status, fault = 500, None
    try:
        try:
            response = await _response(state, query, headers, scope, receive)
        except Exception as error:  # noqa: BLE001  (raised once more when it has been answered)
            response, fault = await internal_error(Request(scope), error), error
        status = response.status_code
        await response(scope, receive, send)
    except asyncio.CancelledError:  # by a server that does so when the client has gone
        status = CLIENT_CLOSED_REQUEST
        raise
    finally:
        state.metrics.count_request(PATH, "GET", status, seconds=time.perf_counter() - started)
    if fault is not None:
        raise fault


async def _response(
    state: State, query: SamplesQuery, headers: dict[bytes, str], scope: Scope, receive: Receive
) -> Response:
    try:
        with Watch(receive):
            return await samples.answer(
                state,
                query,
                root_path=scope.get("root_path", ""),
                accept=headers.get(b"accept"),
                if_none_match=headers.get(b"if-none-match"),
            )
    except Problem as problem:
        return problem.response()
    except ClientGoneError:
        return Response(status_code=CLIENT_CLOSED_REQUEST)


def goes_to_samples(scope: Scope) -> bool:
    """Whether a request's path is the route's."""
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "")
    return path == PATH or (path.startswith(f"{root_path}/") and path[len(root_path) :] == PATH)


def query_of(scope: Scope) -> SamplesQuery | None:
    """The parameters, when all of them are plainly right."""
    text = scope["query_string"].decode("latin-1")
    escaped = "%" in text or "+" in text
    pairs = (
        parse_qsl(text, keep_blank_values=True) if escaped else [p.partition("=")[::2] for p in text.split("&") if p]
    )
    parameters = dict(pairs)
    if len(parameters) != len(pairs) or "" in parameters.values():
        return None
    try:
        return SamplesQuery.model_validate(parameters)
    except ValidationError:
        return None


def headers_of(scope: Scope) -> dict[bytes, str] | None:
    """The headers that decide what is answered, when each is there at most once, none overlong, and none of a body."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _BODY:
            return None
        if name in {b"accept", b"if-none-match"}:
            if name in found or len(value) > MAX_HEADER_CHARACTERS:
                return None
            found[name] = value.decode("latin-1")
    return found
