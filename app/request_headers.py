"""Joins the repeated header lines of a request, as RFC 9110, section 5.3, says."""


def join_repeated(lines: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return header lines with one line for each name.

    Args:
        lines: pairs of a name in lower case and a value, as in an ASGI scope.

    Returns:
        The values of a name that has several lines are joined by ", ", in their order. So a header that must not be
        repeated becomes invalid.
    """
    joined: dict[bytes, bytes] = {}
    for name, value in lines:
        joined[name] = value if name not in joined else joined[name] + b", " + value
    return list(joined.items())
