"""The short way for `GET /v1/samples`: what is plainly right is answered before FastAPI's machinery has run.

The same pydantic model checks the same parameters, and the same function answers. Whatever is not plainly right (a
parameter that is unknown, empty, repeated or does not validate) goes the long way, which says what is wrong with it.
FastAPI's solving of a parameter model takes several times as long as G.
"""

from types import SimpleNamespace
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.departures import GoneError, Watch
from app.problems import CLIENT_CLOSED_REQUEST, Problem
from app.routes import samples
from app.schemas import SamplesQuery
from app.state import State

PATH = "/v1/samples"
MAX_HEADER_CHARACTERS = 4096

_ROUTE = SimpleNamespace(path=PATH)  # by its pattern a request is counted


class Express:
    """Answers what is plainly right, and hands on all else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].endswith(PATH):
            query, headers = _query(scope), _headers(scope)
            if query is not None and headers is not None:
                await _answer(query, headers, scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _answer(query: SamplesQuery, headers: dict[bytes, str], scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = _ROUTE
    state: State = scope["app"].state.gan
    try:
        with Watch(receive):
            response = await samples.answer(
                state,
                query,
                root_path=scope.get("root_path", ""),
                accept=headers.get(b"accept"),
                if_none_match=headers.get(b"if-none-match"),
            )
    except Problem as problem:
        response = problem.response()
    except GoneError:
        response = Response(status_code=CLIENT_CLOSED_REQUEST)
    await response(scope, receive, send)


def _query(scope: Scope) -> SamplesQuery | None:
    """The parameters, when the path is the route's and all of them are plainly right."""
    path, root_path = scope["path"], scope.get("root_path", "")
    if (path[len(root_path) :] if path.startswith(f"{root_path}/") else path) != PATH:
        return None
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


def _headers(scope: Scope) -> dict[bytes, str] | None:
    """The headers that decide what is answered, when each is there at most once and not overlong."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in {b"accept", b"if-none-match"}:
            if name in found or len(value) > MAX_HEADER_CHARACTERS:
                return None
            found[name] = value.decode("latin-1")
    return found
