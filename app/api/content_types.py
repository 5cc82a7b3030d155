"""Checks the Content-Type of bodies: a route reads only its own type, and no body with a Content-Encoding."""

from email.message import Message
from typing import Literal

from fastapi import Request

from app.problems import Problem

BodyType = Literal["application/json", "multipart/form-data"]


def check_content_type(request: Request, wanted: BodyType) -> None:
    """Refuse a body of another type than the route reads. A request without a body passes.

    Raises:
        Problem: 415 if the body is compressed, or if its Content-Type is missing or another one.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise _unsupported(
            f"the header says Content-Encoding: {coding[:80]}, and only bodies as they are can be read; send the body "
            "uncompressed",
            accept_encoding="identity",
        )
    given = request.headers.get("content-type")
    if given is None and not _has_body(request):
        return
    header = Message()
    header["content-type"] = given or "/"
    found = header.get_content_type() if given else ""
    if wanted == "application/json":
        charset = str(header.get_param("charset", "utf-8")).lower()
        if _is_json(found) and charset not in {"utf-8", "utf8", "us-ascii", "ascii"}:
            raise _unsupported(f"the header says charset={charset[:80]}, and JSON must be UTF-8; send it as UTF-8")
    if found != wanted and not (wanted == "application/json" and _is_json(found)):
        raise wrong_content_type(given, wanted)


def wrong_content_type(given: str | None, wanted: BodyType) -> Problem:
    """Return the problem (415) of a body with another Content-Type, or without one."""
    says = "there is a body, but no Content-Type" if given is None else f"the header says Content-Type: {given[:80]}"
    do = f"send the body as {wanted}, and say so in the header"
    return _unsupported(f"{says}, and this route reads {wanted} only; {do}")


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or (
        content_type.startswith("application/") and content_type.endswith("+json")
    )


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def _unsupported(detail: str, *, accept_encoding: str | None = None) -> Problem:
    headers = {} if accept_encoding is None else {"Accept-Encoding": accept_encoding}
    return Problem(415, detail, name="unsupported-media-type", headers=headers)
