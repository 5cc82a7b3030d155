"""The parameters of a route that parses its requests itself, as FastAPI documents those that it parses."""

from collections.abc import Callable
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute


def parameters_of(signature: Callable[..., Any]) -> list[dict[str, Any]]:
    """The `parameters` of an OpenAPI operation.

    Args:
        signature: a function that FastAPI could call for a GET; it is never called.
    """
    document = get_openapi(title="", version="", routes=[APIRoute("/", signature, methods=["GET"])])
    found: list[dict[str, Any]] = document["paths"]["/"]["get"]["parameters"]
    return found
