"""Documents the parameters of a route that parses its requests itself, in the way FastAPI documents others."""

from collections.abc import Callable
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute


def parameters_of(signature: Callable[..., Any]) -> list[dict[str, Any]]:
    """Return the `parameters` of an OpenAPI operation.

    Args:
        signature: a function with these parameters, annotated like a FastAPI route for GET. It is never called.
    """
    document = get_openapi(title="", version="", routes=[APIRoute("/", signature, methods=["GET"])])
    found: list[dict[str, Any]] = document["paths"]["/"]["get"]["parameters"]
    return found
