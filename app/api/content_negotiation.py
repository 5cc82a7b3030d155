"""The formats of an answer, and how a request chooses one."""

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypeVar

from app.problems import Problem

SamplesFormat: TypeAlias = Literal["png", "json", "npz", "zip"]
InterpolationFormat: TypeAlias = Literal["png", "gif", "webp", "json"]

# The first format of each table is the default.
SAMPLES_FORMATS: dict[SamplesFormat, str] = {
    "png": "image/png",
    "json": "application/json",
    "npz": "application/x-npz",
    "zip": "application/zip",
}
INTERPOLATION_FORMATS: dict[InterpolationFormat, str] = {
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "json": "application/json",
}

_ALSO = {"application/octet-stream": "npz"}

Format = TypeVar("Format", bound=str)


def choose_format(asked: Format | None, accept: str | None, offered: Mapping[Format, str]) -> Format:
    """Choose the format of an answer: the one asked for, else the best match for the Accept header, else the first.

    Args:
        asked: the value of the parameter `format`, if it was given.
        accept: the Accept header, if there is one.
        offered: the media types that the route offers, by format.

    Raises:
        Problem: 406 if the Accept header accepts none of the media types.
    """
    standard = next(iter(offered))
    if asked is not None:
        return asked
    if not accept or not accept.strip():
        return standard
    # Formats are ranked by quality, then by how exactly the header names them: `application/json, */*` prefers JSON.
    ranked = [
        (*_quality(media_type, form, accept), -place, form) for place, (form, media_type) in enumerate(offered.items())
    ]
    quality, _, _, best = max(ranked)
    if quality <= 0:
        raise not_acceptable(accept, offered)
    return best


def not_acceptable(accept: str, offered: Mapping[Format, str]) -> Problem:
    """Return the problem (406) for a request whose Accept header allows none of the offered media types."""
    offers, standard = ", ".join(offered.values()), next(iter(offered))
    detail = f"the Accept header {accept[:200]!r} accepts none of {offers}; accept one, or send `format={standard}`"
    return Problem(406, detail)


def document_content(offered: Mapping[Format, str], *, json_schema: str = "") -> dict[str, dict[str, object]]:
    """Return OpenAPI's `content` of an answer: the schema named `json_schema` for JSON, bytes for any other format."""
    json: dict[str, object] = {"schema": {"$ref": f"#/components/schemas/{json_schema}"}}
    return {media_type: json if form == "json" else _bytes(form) for form, media_type in offered.items()}


def _bytes(form: str) -> dict[str, object]:
    # The docs pages cannot show a picture as the example of an answer, so the routes' descriptions have pictures.
    return {"schema": {"type": "string", "format": "binary"}, "example": f"(the bytes of a {form} file)"}


def _quality(media_type: str, form: str, accept: str) -> tuple[float, int]:
    """Return (quality, exactness) of the header's most exact range that includes the media type (RFC 9110, 12.5.1)."""
    exactness_quality = (-1, 0.0)
    for part in accept.split(","):
        media_range, *parameters = (text.strip().lower() for text in part.split(";"))
        if media_range == media_type or _ALSO.get(media_range) == form:
            exactness = 2
        elif media_range == media_type.partition("/")[0] + "/*":
            exactness = 1
        elif media_range == "*/*":
            exactness = 0
        else:
            continue
        exactness_quality = max(exactness_quality, (exactness, _q(parameters)))
    return exactness_quality[1], exactness_quality[0]


def _q(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
