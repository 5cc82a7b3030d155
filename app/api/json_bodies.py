"""JSON bodies: looked at before they are parsed, and parsed quickly.

A list, an object or a text takes some ten times its bytes in memory, and a value that is wrong a hundred times: 30 MB
of `null` took 8 GB, and the event loop for minutes. So a body that no request can need is refused by counting its
brackets, quotes and commas.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from app.api.schemas.samples import MAX_POSTED_LATENTS
from app.problems import Problem

MAX_JSON_BYTES = 16 * 2**20
"""As many latents as may be posted, of 100 coordinates, are 9 MB at most."""

MAX_LISTS = 2 * MAX_POSTED_LATENTS
"""Lists and objects together."""

MAX_TEXTS = 512
"""Names included."""

MAX_VALUES = 1_000_000
"""Numbers, for the most part."""


class JSONRoute(APIRoute):
    """A route whose JSON body, if it has one, is looked at first."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, with another request."""
        handle = super().get_route_handler()

        async def with_json(request: Request) -> Response:
            return await handle(_JSONRequest(request.scope, request.receive))

        return with_json


class _JSONRequest(Request):
    async def json(self) -> Any:  # noqa: ANN401  (Starlette's)
        """The body's value.

        Raises:
            Problem: 413 when it is larger than any that is of use.
            JSONDecodeError: it is no JSON.
        """
        body = await self.body()
        check_json(body)
        try:
            return from_json(body)
        except ValueError as error:
            raise json.JSONDecodeError(str(error), "", 0) from error


def check_json(body: bytes) -> None:
    """Refuse JSON that would cost too much to parse, whatever it says.

    Raises:
        Problem: 413, with what there is too much of.
    """
    if len(body) > MAX_JSON_BYTES:
        raise json_too_large(len(body), "bytes", MAX_JSON_BYTES)
    if (lists := body.count(b"[") + body.count(b"{")) > MAX_LISTS:
        raise json_too_large(lists, "lists and objects", MAX_LISTS)
    if (texts := body.count(b'"') // 2) > MAX_TEXTS:
        raise json_too_large(texts, "names and texts", MAX_TEXTS)
    if (values := body.count(b",")) > MAX_VALUES:
        raise json_too_large(values, "values", MAX_VALUES)


def json_too_large(number: int, what: str, most: int) -> Problem:
    """The problem of JSON that has too much of something."""
    return Problem(413, f"the JSON has {number:,} {what}, at most {most:,} are read; send less at once")
