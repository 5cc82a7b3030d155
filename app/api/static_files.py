"""Static files, always whole, and compressed with gzip for clients that accept it.

The scripts of Swagger UI and Redoc are 1 to 2 MB; compressed they are a third of that. Each process compresses a file
when it is first requested, and keeps the result. The header Range is ignored, as RFC 9110 (section 14.2) allows: a part
of a small file helps nobody, and Starlette refuses a Range that it cannot read, in plain text.
"""

import gzip
from functools import lru_cache
from pathlib import Path

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.api import caching

COMPRESSED_TYPES = ("text/", "application/javascript", "application/json", "image/svg+xml")
"""Beginnings of the media types of files that are worth compressing."""

MIN_BYTES = 1000
"""Smaller files are not compressed, since they fit into one network packet anyway."""


class CompressedStaticFiles(StaticFiles):
    """Static files whose answers are compressed if the client accepts gzip."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, or with 304 if the client has it."""
        response = await super().get_response(path, scope)
        return await whole(response, Headers(scope=scope)) if isinstance(response, FileResponse) else response


async def whole(response: FileResponse, given: Headers) -> Response:
    """Return the answer with a whole file, compressed if that helps and the client accepts it.

    The file is read before the answer begins, so that an error has an answer of its own.

    Args:
        response: the answer with the file as it is; its `stat_result` must be known.
        given: the headers of the request.
    """
    status, path = response.stat_result, Path(response.path)
    is_text = response.headers["content-type"].startswith(COMPRESSED_TYPES)
    is_worth_it = is_text and status is not None and status.st_size >= MIN_BYTES
    if is_worth_it:
        response.headers.add_vary_header("Accept-Encoding")
    kept = {name: value for name, value in response.headers.items() if name not in ("content-length", "accept-ranges")}
    if status is None or not is_worth_it or not accepts_gzip(given.get("accept-encoding")):
        return Response(await anyio.to_thread.run_sync(path.read_bytes), headers=kept)
    kept |= {
        "etag": response.headers["etag"].removesuffix('"') + '-gzip"',  # other bytes need another strong ETag
        "content-encoding": "gzip",
    }
    if caching.matches(given.get("if-none-match"), kept["etag"]):
        return Response(status_code=304, headers={name: kept[name] for name in kept if name not in _OF_THE_BODY})
    body = await anyio.to_thread.run_sync(_gzipped, path, status.st_mtime_ns, status.st_size)
    return Response(body, headers=kept)


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether an Accept-Encoding header accepts gzip (RFC 9110, section 12.5.3)."""
    accepted = {}
    for part in (accept_encoding or "").lower().split(","):
        coding, *parameters = (text.strip() for text in part.split(";"))
        accepted[coding] = not any(_is_zero(parameter) for parameter in parameters)
    return accepted.get("gzip", accepted.get("*", False))


_OF_THE_BODY = ("content-type", "content-encoding")


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and value.strip().rstrip("0") in ("", "0.", ".")


@lru_cache(maxsize=64)
def _gzipped(path: Path, _modified_ns: int, _size: int) -> bytes:
    """Return the compressed bytes of a file. The other arguments only make the cache compress a changed file again."""
    return gzip.compress(path.read_bytes(), mtime=0)
