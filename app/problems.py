"""Errors as the client sees them: RFC 9457 problem documents, from one table.

Problem                       any error below, ready to be sent
422 invalid-parameter         a parameter or the body is invalid; `errors` names each one
401 key-needed                the key is missing or unknown
404 not-found                 the path, or the picture of a timeline, does not exist
404 unknown-model             the model, or this version of it, does not exist
405 method-not-allowed        the path exists, but does not support the method
406 not-acceptable            the Accept header accepts none of the formats
408 too-slow                  the head or the body did not come in time
413 too-large                 a body, a file or an image is larger than its limit
414 url-too-long              the request's target is larger than a head may be
415 unsupported-image         a file is not an image that the service can read
415 unsupported-media-type    a body has not the Content-Type of its route, or has a Content-Encoding
429 overloaded                too many requests, images or bytes wait; retry after Retry-After seconds
431 head-too-large            the request's line and headers are larger than their limit
500 internal                  the service has a fault; only the log has the error's text
501 unknown-coding            the body has a Transfer-Encoding other than chunked
503 not-ready                 no model is usable, or the engine does not answer
503 no-files-left             no file descriptor is free
503 metrics-lost              files with the metrics of workers were removed
"""

import errno
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, JsonValue
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Route

from app.telemetry.request_ids import current, request_id_of
from models.errors import LatentError

CLIENT_CLOSED_REQUEST = 499  # nginx's status; the client is gone, so only the metrics and the access log show it
MEDIA_TYPE = "application/problem+json"
MAX_SHOWN_CHARACTERS = 200

_log = logging.getLogger(__name__)

_NAMES = {
    401: "key-needed",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    408: "too-slow",
    413: "too-large",
    414: "url-too-long",
    415: "unsupported-image",
    422: "invalid-parameter",
    429: "overloaded",
    431: "head-too-large",
    500: "internal",
    501: "unknown-coding",
    503: "not-ready",
}
_TITLES = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
"""RFC 9110's phrases where Python's `http` has older ones before version 3.13."""


class ClientGoneError(Exception):
    """The client closed its connection before its answer was ready."""


class ParameterError(BaseModel):
    """One bad parameter."""

    parameter: str = Field(
        description="Name of the parameter, header or field; `body` if the body cannot be parsed", examples=["n"]
    )
    detail: str = Field(description="What is wrong with it", examples=["Input should be greater than or equal to 1"])
    value: JsonValue = Field(default=None, description="The value that was sent; a long text is cut", examples=["0"])


class ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="The kind of problem", examples=["urn:gan:problem:invalid-parameter"])
    title: str = Field(description="The status in words", examples=["Unprocessable Content"])
    status: int = Field(description="The HTTP status", examples=[422])
    detail: str = Field(
        description="What was wrong, and what to do", examples=["n: Input should be greater than or equal to 1"]
    )
    instance: str | None = Field(
        default=None,
        description="Names this occurrence of a fault of the service, by an id that the service's log has too. Other "
        "problems do not have it",
        examples=["urn:gan:request:4bf92f3577b34da6a3ce929d0e0e4736"],
    )
    errors: list[ParameterError] = Field(default_factory=list, description="The bad parameters, if any")


class Problem(HTTPException):
    """An error for the client.

    Args:
        status: HTTP status.
        detail: a text that says what was wrong, the value seen, and what to do.
        name: last part of the problem's type; by default it follows from the status.
        errors: the bad parameters, if any.
        headers: further headers of the answer.
        challenges: the values of WWW-Authenticate. Each has a header line of its own: Chromium and Firefox ask for a
            password only then.
        instance: a URI of this occurrence, which a person can quote.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        name: str | None = None,
        errors: Sequence[ParameterError] = (),
        headers: Mapping[str, str] | None = None,
        challenges: Sequence[str] = (),
        instance: str | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.challenges = tuple(challenges)
        self.instance = instance
        self.name = name or _NAMES.get(status, "error")
        self.errors = list(errors)

    @classmethod
    def of_parameter(cls, parameter: str, detail: str, value: object = None, *, status: int = 422) -> "Problem":
        """Return the problem of one bad parameter: its name, the text `detail`, and the value that the client sent."""
        error = ParameterError(parameter=parameter, detail=detail, value=_shown(value))
        return cls(status, f"{parameter}: {detail}", errors=[error])

    def document(self) -> dict[str, JsonValue]:
        """Return the problem document."""
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
        """Return the answer to send."""
        headers = {"Cache-Control": "no-store"} | dict(self.headers or {})
        response = JSONResponse(self.document(), self.status_code, headers=headers, media_type=MEDIA_TYPE)
        for challenge in self.challenges:
            response.headers.append("WWW-Authenticate", challenge)
        return response


def install(app: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """Make every error of the application a problem document.

    Args:
        app: the application.
        routes: all routes of the application, from which the `Allow` header of a 405 is made.
    """
    app.add_exception_handler(HTTPException, partial(_http_error, tuple(routes)))
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(LatentError, _latent_error)
    app.add_exception_handler(OSError, _system_error)
    app.add_exception_handler(ClientGoneError, _gone)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, internal_error)


def documented(*problems: Problem) -> dict[int | str, dict[str, object]]:
    """Return the `responses` of a route for OpenAPI: for each status, an example of a problem."""
    return {problem.status_code: _documented(problem) for problem in problems}


async def internal_error(request: Request, error: Exception) -> Response:
    """Answer 500 to a request during which the service failed.

    The answer and the log have the same id. Only the log has the error's text.
    """
    known = request_id_of(request.scope)
    current.set(known)  # so that a line that uvicorn logs about the error has the id, too
    extra = {"request": known}
    _log.error("unexpected error at %s %s", request.method, request.url.path, exc_info=error, extra=extra)
    return Problem(
        500,
        f"the service failed to answer this request; report the id {known.text}, which marks the details in its log",
        headers={"X-Request-Id": known.text},
        instance=f"urn:gan:request:{known.text}",
    ).response()


async def _http_error(routes: Sequence[BaseRoute], request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return error.response()
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    if status == 400:  # FastAPI's status for a body that it cannot parse
        detail = "the body cannot be parsed; send one that matches its Content-Type"
        return Problem.of_parameter("body", detail).response()
    if status == 404 and (location := _other_slash(routes, request)) is not None:
        return Response(status_code=307, headers={"Location": location})
    if status == 405:
        headers = {"Allow": _allow(routes, request, known=(headers or {}).get("Allow", ""))}
    path = request.url.path[:MAX_SHOWN_CHARACTERS]
    details = {
        404: f"there is nothing at {path}; /docs lists the paths",
        405: f"{path} does not support {request.method}; use a method that the header Allow lists",
    }
    return Problem(status, details.get(status, _title(status)), headers=headers).response()


def _other_slash(routes: Sequence[BaseRoute], request: Request) -> str | None:
    """Return the address that differs from the request's in a slash at its end, if there is a route; None otherwise.

    It names no scheme, host or port, which a proxy may have changed, but it has the service's path prefix.
    """
    path: str = request.scope["path"]
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    scope = {**request.scope, "path": other}
    if not any(isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE for route in routes):
        return None
    query = request.scope["query_string"].decode("latin-1")
    return quote(other, safe="/@:!$&'()*+,;=") + (f"?{query}" if query else "")


def _allow(routes: Sequence[BaseRoute], request: Request, *, known: str) -> str:
    """Return all methods of a path (RFC 9110, 10.2.1). Starlette names those of one route, and leaves HEAD out."""
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


def is_out_of_files(error: BaseException) -> bool:
    """Whether an error says that the process, or the system, has no file descriptor left."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


async def _system_error(_request: Request, error: Exception) -> Response:
    if not is_out_of_files(error):
        raise error
    _log.error("a request needs a file, but no file descriptor is free (%s); raise the limit: ulimit -n", error)
    detail = "the service has no file descriptor left for this request; try again in 1 s"
    return Problem(503, detail, name="no-files-left", headers={"Retry-After": "1"}).response()


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
    if problem.challenges:
        schema = {"type": "string", "example": problem.challenges[0]}
        described = "How to send a key; each scheme has a line of its own"
        response["headers"] = {"WWW-Authenticate": {"description": described, "schema": schema}}
    return response


def _title(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase


def _place(kind: str, loc: Sequence[int | str]) -> str:
    """Return the name of the bad parameter. For a body that is not JSON it is `body`, without the error's position.

    Args:
        kind: Pydantic's type of the mistake, such as "json_invalid".
        loc: Pydantic's path to it, such as ("query", "n"): where the parameter is, then its name.
    """
    return str(loc[0]) if kind == "json_invalid" else ".".join(str(part) for part in loc[1:]) or str(loc[0])


def _say(mistake: Mapping[str, Any]) -> str:
    match mistake["type"]:
        case "json_invalid":
            return f"the body is not JSON: {mistake['ctx']['error']}"
        case "extra_forbidden":
            return "there is no such parameter; /docs lists those that exist"
    return str(mistake["msg"]).removeprefix("Value error, ")


def _shown(value: object) -> JsonValue:
    """Return a value that a client sent, shortened, and replaced by text where JSON could not express it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):  # a comparison, unlike math.isfinite, takes integers of any length
        return value if abs(value) < 2**63 else f"({type(value).__name__} beyond 64 bits)"
    if isinstance(value, str):
        # UTF-8 cannot encode lone surrogates.
        return value[:MAX_SHOWN_CHARACTERS].encode("utf-8", "replace").decode()
    return f"({type(value).__name__})"
