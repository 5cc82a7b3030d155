"""Permanent URLs, ETags, and how long caches may keep an answer.

Samples depend on the model's bytes, the seed and the parameters only, so their ETag is known before G runs.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, TypeAlias
from urllib.parse import quote

from fastapi import Header

from app.api.openapi import examples
from app.media.png import ENCODER
from models.model_folder.loaded_model import LoadedModel

RENDERING = 4
"""Version of the rendering, a part of every ETag. Raise it when the same parameters begin to give other bytes."""

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
NO_STORE = "no-store"

MAX_TAG_CHARACTERS = 4096
"""The longest If-None-Match header that is accepted."""

_TAG = re.compile(r'(?:W/)?("[^"]*")')

_NOBODYS_TAG = '"0123456789abcdef0123456789abcdef"'

IfNoneMatch: TypeAlias = Annotated[
    str | None,
    Header(
        max_length=MAX_TAG_CHARACTERS,
        description="The ETag of an earlier answer. If it is still the ETag of this answer, the status is 304 and "
        "there is no body. The ETag of the example belongs to no answer",
        examples=[None, _NOBODYS_TAG],
    ),
]


def documented_headers(*, etag: str | None = None, content_location: str | None = None) -> dict[str, dict[str, object]]:
    """Return the OpenAPI description of an answer's headers. Swagger UI finds the examples in the schemas."""
    headers = {"X-Model": _documented("The model and its version, as `name@hash`", examples.REFERENCE)}
    if etag is not None:
        headers["ETag"] = _documented("Identifies this answer, for If-None-Match", etag)
    if content_location is not None:
        headers["Content-Location"] = _documented("The permanent URL of this answer", content_location)
    return headers


def permanent_query(model: LoadedModel, parameters: Mapping[str, object], form: str) -> str:
    """Return the query string of an answer's permanent URL.

    Args:
        model: the model of the answer.
        parameters: the query parameters by name, except `model` and `format`; those that are None are left out.
        form: the value of the parameter `format`.
    """
    # Names and numbers need no quoting, but other texts may.
    parts = [_model_parameter(model.reference)]
    for name, value in parameters.items():
        if value is not None:
            parts.append(f"{name}={quote(value, safe=',') if isinstance(value, str) else value}")
    return "&".join([*parts, f"format={form}"])


def around_seed(model: LoadedModel, parameters: Mapping[str, object], form: str) -> tuple[str, str]:
    """Return the query string of samples' permanent URL in two parts: before the seed's number, and after it.

    Args:
        model: the model that draws the samples.
        parameters: the other query parameters by name; those that are None are left out.
        form: the value of the parameter `format`.
    """
    named, _, others = permanent_query(model, parameters, form).partition("&")
    return f"{named}&seed=", f"&{others}"


def entity_tag(model: LoadedModel, query: str) -> str:
    """Return the strong ETag of the answer under a permanent URL with this query string."""
    return f'"{digest(model, query)}"'


def digest(model: LoadedModel, query: str) -> str:
    """Return 32 hex digits that identify a query of a model, for this version of rendering and this PNG encoder."""
    return hashlib.sha256(f"{RENDERING}|{ENCODER}|{model.sha256}|{query}".encode()).hexdigest()[:32]


def _documented(description: str, example: str) -> dict[str, object]:
    return {"description": description, "schema": {"type": "string", "example": example}}


@lru_cache(maxsize=64)
def _model_parameter(reference: str) -> str:
    return f"model={quote(reference, safe='@')}"


def cache_control(*, seed_given: bool, version_given: bool) -> str:
    """Return the Cache-Control header of an answer: how long caches may keep it.

    An answer under a permanent URL may be kept for ever. Under a model's plain name it must be revalidated, since the
    name may later mean another version. An answer whose seed the service drew at random must not be stored.
    """
    if not seed_given:
        return NO_STORE
    return IMMUTABLE if version_given else REVALIDATE


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether an If-None-Match header contains the ETag, by the weak comparison of RFC 9110."""
    if not if_none_match:
        return False
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)
