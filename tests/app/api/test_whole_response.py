"""A `WholeResponse` sends what Starlette's `Response` would send."""

import pytest
from starlette.responses import Response

from app.api.whole_response import WholeResponse

HEADERS = {"X-Model": "digits@0123", "Cache-Control": "no-cache", "Vary": "Accept", "Content-Location": "/ä?n=1"}


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 1000])
@pytest.mark.parametrize("media_type", ["image/png", "application/json"])
def test_a_body(body: bytes, media_type: str) -> None:
    ours = WholeResponse(body, HEADERS, media_type=media_type)
    theirs = Response(body, headers=HEADERS, media_type=media_type)
    assert ours.raw_headers == theirs.raw_headers
    assert (ours.status_code, ours.body, ours.background) == (theirs.status_code, theirs.body, theirs.background)


def test_not_modified() -> None:
    ours = WholeResponse(b"", HEADERS, status_code=304)
    theirs = Response(status_code=304, headers=HEADERS)
    assert ours.raw_headers == theirs.raw_headers
    assert (ours.status_code, ours.body) == (theirs.status_code, theirs.body)
