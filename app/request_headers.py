"""Reads the headers of a request into a dictionary, with repeated lines joined as in RFC 9110, section 5.3."""

from starlette.types import Scope


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Return the headers of a request (ASGI). The first call reads them, and the scope keeps the result.

    Returns:
        The value of each header by its name in lower case. The values of a name that has several lines are joined by
        ", ", in their order. A header that must not be repeated becomes invalid in this way, as it should.
    """
    known: dict[bytes, bytes] | None = scope.get("gan.headers")
    if known is None:
        lines = scope["headers"]
        known = dict(lines)
        if len(known) < len(lines):
            known = {}
            for name, value in lines:
                known[name] = value if name not in known else known[name] + b", " + value
        scope["gan.headers"] = known
    return known
