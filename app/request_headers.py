"""The headers of a request by their names, with repeated lines joined as RFC 9110 (section 5.3) says."""

from starlette.types import Scope


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers of a request (ASGI). The first call reads them, and the scope keeps the result.

    Returns:
        The value of each header by its name in lower case. The values of a name that has several lines are joined by
        ", ", in their order. A header that must not be repeated is then not valid, as it should be.
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
