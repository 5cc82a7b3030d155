"""Static files are compressed for clients that accept gzip, and never for others."""

import gzip
import itertools

import httpx
import pytest

from app.api.static_files import accepts_gzip

BUNDLE = "/static/swagger-ui/swagger-ui-bundle.js"


@pytest.mark.parametrize("path", [BUNDLE, "/static/swagger-ui/swagger-ui.css", "/static/viewer/viewer.css", "/"])
def test_compressed_only_if_accepted(client: httpx.Client, path: str) -> None:
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    small = client.get(path, headers={"Accept-Encoding": "gzip, deflate, br"})
    assert small.headers["content-encoding"] == "gzip"
    assert small.content == plain.content  # httpx has decompressed it
    assert int(small.headers["content-length"]) < len(plain.content) / 2
    assert plain.headers["vary"] == small.headers["vary"] == "Accept-Encoding"
    assert plain.headers["etag"] != small.headers["etag"]
    for name in ("content-type", "content-security-policy", "cache-control"):
        assert plain.headers.get(name) == small.headers.get(name)


def test_the_docs_are_small(client: httpx.Client) -> None:
    paths = ("/docs", BUNDLE, "/static/swagger-ui/swagger-ui.css", "/static/docs.js", "/static/docs.css")
    answers = [client.get(path, headers={"Accept-Encoding": "gzip"}) for path in paths]
    assert sum(int(answer.headers["content-length"]) for answer in answers) < 600_000


def test_revalidation_of_both(client: httpx.Client) -> None:
    for encoding in ("gzip", "identity"):
        headers = {"Accept-Encoding": encoding}
        etag = client.get(BUNDLE, headers=headers).headers["etag"]
        again = client.get(BUNDLE, headers={**headers, "If-None-Match": etag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert client.get(BUNDLE, headers={**headers, "If-None-Match": '"other"'}).status_code == 200


def test_head_and_the_stream_itself(client: httpx.Client) -> None:
    with client.stream("GET", BUNDLE, headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert len(raw) == int(answer.headers["content-length"])
    assert gzip.decompress(raw) == client.get(BUNDLE, headers={"Accept-Encoding": "identity"}).content
    head = client.head(BUNDLE, headers={"Accept-Encoding": "gzip"})
    assert head.headers["content-length"] == str(len(raw))
    assert head.headers["content-encoding"] == "gzip"


RANGES = ["bytes=0-3", "bytes=0-1,4-5", "bytes=1000000000-", "bytes=5-2", "bytes=-0", "bytes=abc", "lines=1-2", "x", ""]


@pytest.mark.parametrize(
    "path", [BUNDLE, "/static/icon.svg", "/static/exhibits/collapse/timeline/00000.png", "/", "/docs"]
)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_no_range_is_taken(client: httpx.Client, path: str, encoding: str) -> None:
    """Neither is one that is wrong refused: the file comes whole."""
    wanted = client.get(path, headers={"Accept-Encoding": encoding})
    assert "accept-ranges" not in wanted.headers
    for method, found in itertools.product(("GET", "HEAD"), RANGES):
        answer = client.request(method, path, headers={"Accept-Encoding": encoding, "Range": found})
        assert answer.status_code == 200
        assert answer.content == (wanted.content if method == "GET" else b"")
        assert answer.headers["content-length"] == wanted.headers["content-length"]


def test_pictures_and_small_files_stay_as_they_are(client: httpx.Client) -> None:
    for path in ("/static/exhibits/collapse/timeline/00000.png", "/static/icon.svg"):
        answer = client.get(path, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("deflate, gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0.001", True),
        ("*", True),
        ("*;q=0", False),
        ("*;q=0, gzip", True),
        ("gzip;q=0, *", False),
        ("br", False),
        ("identity", False),
    ],
)
def test_accept_encoding(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
