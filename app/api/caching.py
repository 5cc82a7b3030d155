"""Permanent URLs: what an answer is called, and how long anyone may keep it.

Samples are a function of the model's bytes, the seed and the parameters, so their ETag is known before G runs.
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

RENDERING = 3
"""A part of every ETag, as the PNG encoder's name is. Raised when the same parameters begin to give other bytes."""

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
NO_STORE = "no-store"

MAX_TAG_CHARACTERS = 4096
"""Longest If-None-Match header that is read."""

_TAG = re.compile(r'(?:W/)?("[^"]*")')

_NOBODYS_TAG = '"0123456789abcdef0123456789abcdef"'

IfNoneMatch: TypeAlias = Annotated[
    str | None,
    Header(
        max_length=MAX_TAG_CHARACTERS,
        description="An ETag from before: 304 when it is still this answer's. That of the example is no answer's",
        examples=[None, _NOBODYS_TAG],
    ),
]


def documented_headers(*, etag: str | None = None, content_location: str | None = None) -> dict[str, dict[str, object]]:
    """What an answer says of itself, for OpenAPI, with an example each where Swagger UI finds it: in the schema."""
    headers = {"X-Model": _documented("name@hash", examples.REFERENCE)}
    if etag is not None:
        headers["ETag"] = _documented("Of this very answer", etag)
    if content_location is not None:
        headers["Content-Location"] = _documented("The permanent URL of this very answer", content_location)
    return headers


def permanent_query(model: LoadedModel, parameters: Mapping[str, object], form: str) -> str:
    """The query string that gives this very answer again; parameters that are None are left out."""
    # Names and numbers need no quoting; the text of what else there is may.
    parts = [_model_parameter(model.reference)]
    for name, value in parameters.items():
        if value is not None:
            parts.append(f"{name}={quote(value, safe=',') if isinstance(value, str) else value}")
    return "&".join([*parts, f"format={form}"])


def around_seed(model: LoadedModel, parameters: Mapping[str, object], form: str) -> tuple[str, str]:
    """The permanent query of samples before and behind the number of their seed."""
    named, _, others = permanent_query(model, parameters, form).partition("&")
    return f"{named}&seed=", f"&{others}"


def entity_tag(model: LoadedModel, query: str) -> str:
    """A strong ETag of the answer to a permanent query."""
    return f'"{digest(model, query)}"'


def digest(model: LoadedModel, query: str) -> str:
    """32 hex digits that stand for a query of a model, as pictures are drawn and written now."""
    return hashlib.sha256(f"{RENDERING}|{ENCODER}|{model.sha256}|{query}".encode()).hexdigest()[:32]


def _documented(description: str, example: str) -> dict[str, object]:
    return {"description": description, "schema": {"type": "string", "example": example}}


@lru_cache(maxsize=64)
def _model_parameter(reference: str) -> str:
    return f"model={quote(reference, safe='@')}"


def cache_control(*, seed_given: bool, version_given: bool) -> str:
    """How long an answer may be kept.

    Under a permanent URL for ever; under a model's plain name until asked again, since the name may come to mean
    another version; with a drawn seed not at all.
    """
    if not seed_given:
        return NO_STORE
    return IMMUTABLE if version_given else REVALIDATE


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether an If-None-Match header holds a strong tag, by RFC 9110's weak comparison; `*` alone holds any."""
    if not if_none_match:
        return False
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)
