"""Checks JSON bodies before they are parsed, and parses them quickly.

A list, an object or a text takes about ten times its bytes in memory, and a value that is wrong takes a hundred times:
30 MB of `null` took 8 GB and blocked the event loop for minutes. So brackets, quotes and commas are counted first, and
a body with more of them than any useful request is refused.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from pydantic_core import from_json

from app.api.content_types import check_content_type
from app.api.schemas.samples import MAX_POSTED_LATENTS
from app.api.strict_route import StrictRoute, repeated
from app.problems import Problem

MAX_JSON_BYTES = 16 * 2**20
"""The largest JSON body. The most latents that may be posted take 9 MB at most if they have 100 coordinates each."""

MAX_LISTS = 2 * MAX_POSTED_LATENTS
"""The most lists and objects in a body, counted together."""

MAX_TEXTS = 512
"""The most texts in a body, counting the names in objects too."""

MAX_VALUES = 1_000_000
"""The most values in a body, which are mostly numbers. They are counted by their commas."""


class JSONRoute(StrictRoute):
    """A route that checks a JSON body, if the route takes one, before it is parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, wrapped so that the type and the JSON body of each request are checked."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def with_json(request: Request) -> Response:
            check_content_type(request, "application/json")
            return await handle(_JSONRequest(request.scope, request.receive))

        return with_json


class _JSONRequest(Request):
    async def json(self) -> Any:  # noqa: ANN401  (Starlette's)
        """Return the parsed value of the body.

        Raises:
            Problem: 413 if the body exceeds a limit of this module, 422 if an object in it has a name twice.
            JSONDecodeError: the body is not JSON.
        """
        body = await self.body()
        check_json(body)
        try:
            value = from_json(body)
        except ValueError as error:
            raise json.JSONDecodeError(str(error), "", 0) from error
        _check_names(body, value)
        return value


def check_json(body: bytes) -> None:
    """Refuse JSON that would cost too much to parse.

    Raises:
        Problem: 413, naming the limit that the body exceeds.
    """
    if len(body) > MAX_JSON_BYTES:
        raise json_too_large(len(body), "bytes", MAX_JSON_BYTES)
    if (lists := body.count(b"[") + body.count(b"{")) > MAX_LISTS:
        raise json_too_large(lists, "lists and objects", MAX_LISTS)
    if (texts := body.count(b'"') // 2) > MAX_TEXTS:
        raise json_too_large(texts, "names and texts", MAX_TEXTS)
    if (values := body.count(b",")) > MAX_VALUES:
        raise json_too_large(values, "values", MAX_VALUES)


def _check_names(body: bytes, value: object) -> None:
    """Refuse a body in which an object has a name twice; the parser has kept only the last value of such a name.

    Such a body has more quotes than the names and texts of the value need. Only a body with more is parsed again.

    Raises:
        Problem: 422, naming the first such name.
    """
    if not isinstance(value, dict):
        return
    quotes = 2 * (len(value) + sum(isinstance(entry, str) for entry in value.values()))
    if body.count(b'"') == quotes:
        return
    pairs = json.loads(body, object_pairs_hook=list, parse_int=float, parse_float=float)
    names = [name for name, _ in pairs]
    for name in dict.fromkeys(names):
        if (times := names.count(name)) > 1:
            raise Problem.of_parameter(name, repeated(times))


def json_too_large(number: int, what: str, most: int) -> Problem:
    """Return the problem (413) of JSON with `number` of `what` ("values", …), where at most `most` are allowed."""
    return Problem(413, f"the JSON has {number:,} {what}, and at most {most:,} are allowed; send less at once")
