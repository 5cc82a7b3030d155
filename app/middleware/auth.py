"""API keys. Only hashes of them are kept, and they are compared in constant time.

A client sends its key as `Authorization: Bearer KEY`, or as the password of the scheme `Basic`. Browsers ask for such a
password by themselves, and send it with every picture and download of a page.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import Problem
from app.telemetry.metrics import Metrics, method_of

OPEN_PATHS = ("/healthz", "/readyz")
"""The paths of the health checks, which need no key."""

Scheme: TypeAlias = Literal["Bearer", "Basic"]

_CHALLENGES: dict[Scheme, str] = {"Bearer": 'Bearer realm="gan"', "Basic": 'Basic realm="gan", charset="UTF-8"'}
"""The values of WWW-Authenticate. With `charset` browsers send a password as UTF-8 (RFC 7617, section 2.1)."""

HASHED = "sha256:"
"""The beginning of a key that is given as the hex digits of its SHA-256."""


ADMIN_PATH = "/admin/reload"
"""The path that has a key of its own, GAN_ADMIN_KEY, which its route checks."""


def open_paths(root_path: str, paths: Iterable[str] = OPEN_PATHS) -> set[str]:
    """Return paths with and without the prefix of the service's paths."""
    return {prefix + path for path in paths for prefix in ("", root_path)}


def hash_key(key: str) -> str:
    """Return the hash that is kept of a key: "sha256:" and 64 hex digits. A key given in this form is kept as it is.

    Raises:
        ValueError: the key is empty or not UTF-8, or "sha256:" is not followed by 64 hex digits.
    """
    if key.lower().startswith(HASHED):  # a hash is no secret: taken as a key itself, it would open the service
        digits = key[len(HASHED) :].lower()
        if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
            raise ValueError("64 hex digits must follow sha256: in a key; give the key's SHA-256, or the key itself")
        return HASHED + digits
    if not key:
        raise ValueError("a key must not be empty")
    try:
        return _digest(key.encode())
    except UnicodeEncodeError as error:
        raise ValueError("a key must be UTF-8; give it in this encoding, or by its SHA-256") from error


def is_known(key: bytes | None, hashes: Sequence[str]) -> bool:
    """Whether a key has one of these hashes. Every hash is compared, so that the time taken reveals nothing.

    Args:
        key: the bytes as sent. Browsers send characters up to U+00FF as one byte (Latin-1), other clients as UTF-8.
        hashes: the hashes of the known keys as `hash_key` returns them.
    """
    if key is None:
        return False
    own = [_digest(key)] if key.isascii() else [_digest(key), _digest(key.decode("latin-1").encode())]
    known = False
    for one in own:
        for other in hashes:
            known |= hmac.compare_digest(one, other)
    return known


def bearer_of(authorization: bytes) -> bytes | None:
    """Return the key of an Authorization header with the scheme Bearer (RFC 6750), or None."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def refused(*schemes: Scheme) -> Problem:
    """Return the answer (401) to a request without a valid key, for a route that takes these schemes."""
    detail = "a key is needed: send it as `Authorization: Bearer KEY`"
    return Problem(401, detail, challenges=[_CHALLENGES[scheme] for scheme in schemes])


class Keys:
    """Decides whether a request may come in: it must have a known key, or ask for `/healthz` or `/readyz`.

    Args:
        hashes: the hashes of the keys as `hash_key` returns them, at least one.
        root_path: prefix of the service's paths.
        has_admin_key: whether `/admin/reload` has a key of its own, so that it needs none of `hashes`.
    """

    def __init__(self, hashes: Sequence[str], *, root_path: str, has_admin_key: bool = False) -> None:
        self._hashes = tuple(hashes)
        self._open = open_paths(root_path, (*OPEN_PATHS, ADMIN_PATH) if has_admin_key else OPEN_PATHS)

    def is_open(self, scope: Scope) -> bool:
        """Whether a request (ASGI) needs no key."""
        return scope["path"] in self._open

    def admit(self, scope: Scope) -> bool:
        """Whether a request (ASGI) has exactly one Authorization header, with a known key."""
        given = dict(scope["headers"]).get(b"authorization")
        if given is None:
            return False
        return is_known(bearer_of(given) or _password_of(given), self._hashes)


class RequireKey:
    """Refuses requests that have no known key with 401, and marks the answers to other requests as private.

    Args:
        app: the ASGI application that this layer wraps.
        keys: the check that decides which requests may come in.
        metrics: the metrics that count the refused requests.
    """

    def __init__(self, app: ASGIApp, *, keys: Keys, metrics: Metrics) -> None:
        self._app = app
        self._keys = keys
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._keys.is_open(scope):
            await self._app(scope, receive, send)
        elif self._keys.admit(scope):
            await self._app(scope, receive, _privately(send))
        else:
            started = time.perf_counter()
            await refused("Bearer", "Basic").response()(scope, receive, send)
            self._metrics.count_request("other", method_of(scope), 401, seconds=time.perf_counter() - started)


def private(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return headers with Cache-Control private, so that no shared cache serves the answer (RFC 9111, section 3.5)."""
    return [
        (name, value.replace(b"public", b"private") if name == b"cache-control" else value) for name, value in headers
    ]


def _privately(send: Send) -> Send:
    async def send_private(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = private(message["headers"])
        await send(message)

    return send_private


def _digest(key: bytes) -> str:
    return HASHED + hashlib.sha256(key).hexdigest()


def _password_of(authorization: bytes) -> bytes | None:
    """Return the password of an Authorization header with the scheme Basic (RFC 7617), or None."""
    scheme, _, text = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return base64.b64decode(text.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return None
