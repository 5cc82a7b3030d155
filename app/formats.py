"""The forms in which samples are sent, and how a request chooses one."""

from typing import Literal, TypeAlias

from app.problems import Problem

Format: TypeAlias = Literal["png", "json", "npz", "zip"]

MEDIA_TYPES: dict[Format, str] = {
    "png": "image/png",
    "json": "application/json",
    "npz": "application/x-npz",
    "zip": "application/zip",
}

_ALSO: dict[str, Format] = {"application/octet-stream": "npz"}


def choose_format(asked: Format | None, accept: str | None) -> Format:
    """The format of the answer: the one asked for by name, else the best that the Accept header takes, else PNG.

    Raises:
        Problem: 406 when the Accept header takes none of them.
    """
    if asked is not None:
        return asked
    if not accept or not accept.strip():
        return "png"
    # For each format its quality, and how exactly it was named: `application/json, */*` wants JSON.
    ranked = [(*_quality(MEDIA_TYPES[form], form, accept), -place, form) for place, form in enumerate(MEDIA_TYPES)]
    quality, _, _, best = max(ranked)
    if quality <= 0:
        offers = ", ".join(MEDIA_TYPES.values())
        raise Problem(406, f"Accept: {accept[:200]!r} takes none of {offers}; `format=png` chooses without it")
    return best


def _quality(media_type: str, form: Format, accept: str) -> tuple[float, int]:
    """(quality, exactness) of the most exact range of the header that takes the media type: RFC 9110, 12.5.1."""
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
