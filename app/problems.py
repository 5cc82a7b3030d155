"""Errors as the client sees them: RFC 9457 problem documents, from one table.

Problem                       anything below, ready to be sent
422 invalid-parameter         a parameter or a body that does not hold together; `errors` names each
401 key-needed                a key that is missing or not known
404 not-found                 no such path
404 unknown-model             no such model, version, or picture of a timeline
405 method-not-allowed        a path that is there, asked in another way
406 not-acceptable            an Accept header that none of the formats meets
413 too-large                 a body, a file or an image beyond its limit
415 unsupported-image         a file that is not an image we read
429 overloaded                as many images wait as may; come back after Retry-After seconds
500 internal                  a fault of ours; its text stays in the log
503 not-ready                 no usable model, or the engine does not answer
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, JsonValue
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route

from app.telemetry.request_ids import current, request_id_of
from models.errors import LatentError

CLIENT_CLOSED_REQUEST = 499  # nginx's; nobody sees it but the counters
MEDIA_TYPE = "application/problem+json"
MAX_SHOWN_CHARACTERS = 200

_log = logging.getLogger(__name__)

_NAMES = {
    401: "key-needed",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    413: "too-large",
    415: "unsupported-image",
    422: "invalid-parameter",
    429: "overloaded",
    500: "internal",
    503: "not-ready",
}
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""RFC 9110's words, where those of `http` were others before Python 3.13."""


class ClientGoneError(Exception):
    """The client closed its connection before its answer was ready."""


class ParameterError(BaseModel):
    """One bad parameter."""

    parameter: str = Field(examples=["n"])
    detail: str = Field(examples=["Input should be greater than or equal to 1"])
    value: JsonValue = Field(default=None, examples=["0"])


class ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:gan:problem:invalid-parameter"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["n: Input should be greater than or equal to 1"])
    instance: str | None = Field(
        default=None,
        description="Of a fault of the service: this occurrence, whose id is in the log",
        examples=["urn:gan:request:4bf92f3577b34da6a3ce929d0e0e4736"],
    )
    errors: list[ParameterError] = Field(default_factory=list)


class Problem(HTTPException):
    """An error for the client.

    Args:
        status: HTTP status.
        detail: what was wrong, the value seen, what to do.
        name: last part of the problem's type; the status's own by default.
        errors: the bad parameters, if any.
        headers: further headers of the answer.
        instance: a URI of this very occurrence, for a person to quote.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        name: str | None = None,
        errors: Sequence[ParameterError] = (),
        headers: Mapping[str, str] | None = None,
        instance: str | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.instance = instance
        self.name = name or _NAMES.get(status, "error")
        self.errors = list(errors)

    @classmethod
    def of_parameter(cls, parameter: str, detail: str, value: object = None, *, status: int = 422) -> "Problem":
        """A problem with one parameter."""
        error = ParameterError(parameter=parameter, detail=detail, value=_shown(value))
        return cls(status, f"{parameter}: {detail}", errors=[error])

    def document(self) -> dict[str, JsonValue]:
        """The problem document."""
        document = ProblemDocument(
            type=f"urn:gan:problem:{self.name}",
            title=_title(self.status_code),
            status=self.status_code,
            detail=self.detail,
            instance=self.instance,
            errors=self.errors,
        )
        unsaid = {name for name in ("instance", "errors") if not getattr(self, name)}
        return document.model_dump(mode="json", exclude=unsaid)

    def response(self) -> Response:
        """The answer to send."""
        headers = {"Cache-Control": "no-store"} | dict(self.headers or {})
        return JSONResponse(self.document(), self.status_code, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """Make every error of the application a problem document.

    Args:
        app: the application.
        routes: all of its routes, for the `Allow` of an answer 405.
    """
    app.add_exception_handler(HTTPException, partial(_http_error, tuple(routes)))
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(LatentError, _latent_error)
    app.add_exception_handler(ClientGoneError, _gone)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, internal_error)


def documented(*problems: Problem) -> dict[int | str, dict[str, object]]:
    """The `responses` of a route for OpenAPI: for each status a problem that is sent with it."""
    return {problem.status_code: _documented(problem) for problem in problems}


async def internal_error(request: Request, error: Exception) -> Response:
    """The answer to a request that met a fault of ours, whose text goes to the log, under an id that both have."""
    known = request_id_of(request.scope)
    current.set(known)  # for what uvicorn logs of it
    extra = {"request": known}
    _log.error("unexpected error at %s %s", request.method, request.url.path, exc_info=error, extra=extra)
    return Problem(
        500,
        f"the service met an error of its own; its log has it under {known.text}",
        headers={"X-Request-Id": known.text},
        instance=f"urn:gan:request:{known.text}",
    ).response()


async def _http_error(routes: Sequence[BaseRoute], request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return error.response()
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    if status == 400:  # FastAPI's word for a body that it cannot parse
        return Problem.of_parameter("body", "the body cannot be read; send what the Content-Type says").response()
    if status == 405:
        headers = {"Allow": _allow(routes, request, known=(headers or {}).get("Allow", ""))}
    path = request.url.path[:MAX_SHOWN_CHARACTERS]
    details = {404: f"there is nothing at {path}", 405: f"{path} does not take {request.method}"}
    return Problem(status, details.get(status, _title(status)), headers=headers).response()


def _allow(routes: Sequence[BaseRoute], request: Request, *, known: str) -> str:
    """Every method of the path, as RFC 9110 (10.2.1) has it: Starlette names those of one route, and not our HEAD."""
    methods = {method.strip() for method in known.split(",") if method.strip()} | {
        method
        for route in routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


async def _validation_error(_request: Request, error: Exception) -> Response:
    mistakes = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [
        ParameterError(
            parameter=_place(mistake["type"], mistake["loc"]),
            detail=_say(mistake),
            value=None if mistake["type"] == "json_invalid" else _shown(mistake.get("input")),
        )
        for mistake in mistakes[:20]
    ]
    return Problem(422, "; ".join(f"{e.parameter}: {e.detail}" for e in errors), errors=errors).response()


async def _latent_error(_request: Request, error: Exception) -> Response:
    return Problem.of_parameter("latents", str(error)).response()


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def _documented(problem: Problem) -> dict[str, object]:
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    response: dict[str, object] = {
        "description": _title(problem.status_code),
        "content": {MEDIA_TYPE: {"schema": schema, "example": problem.document()}},
    }
    if problem.headers:
        response["headers"] = {
            name: {"description": "Seconds to wait", "schema": {"type": "integer", "example": int(value)}}
            for name, value in problem.headers.items()
        }
    return response


def _title(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase


def _place(kind: str, loc: Sequence[int | str]) -> str:
    """The parameter; of a body that is no JSON, the body, and not the character at which it ends to be."""
    return str(loc[0]) if kind == "json_invalid" else ".".join(str(part) for part in loc[1:]) or str(loc[0])


def _say(mistake: Mapping[str, Any]) -> str:
    match mistake["type"]:
        case "json_invalid":
            return f"the body is not JSON: {mistake['ctx']['error']}"
        case "extra_forbidden":
            return "there is no such parameter"
    return str(mistake["msg"]).removeprefix("Value error, ")


def _shown(value: object) -> JsonValue:
    """A value that came from outside, cut to a length and made fit for JSON."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):  # a comparison, unlike math.isfinite, takes integers of any length
        return value if abs(value) < 2**63 else f"({type(value).__name__} beyond 64 bits)"
    if isinstance(value, str):
        # Lone surrogates have no UTF-8.
        return value[:MAX_SHOWN_CHARACTERS].encode("utf-8", "replace").decode()
    return f"({type(value).__name__})"
