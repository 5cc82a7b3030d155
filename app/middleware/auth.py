"""Who may come in: keys, compared in constant time, of which only hashes are kept.

A key comes as `Authorization: Bearer KEY`; or as the password of `Basic`, which browsers ask for by themselves and send
with every picture and download of a page.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import Problem
from app.telemetry.metrics import Metrics, method_of

OPEN_PATHS = ("/healthz", "/readyz")
"""What a supervisor asks for, and who has no key may."""

HASHED = "sha256:"
"""How a key begins that is given as the hex digits of its SHA-256."""


def open_paths(root_path: str) -> set[str]:
    """`OPEN_PATHS`, as they are asked for with and without the prefix of the service's paths."""
    return {prefix + path for path in OPEN_PATHS for prefix in ("", root_path)}


def hash_key(key: str) -> str:
    """A key as it is kept: "sha256:" and 64 hex digits; one that is given so stays as it is.

    Raises:
        ValueError: the key is empty, or what follows "sha256:" is not a SHA-256.
    """
    if key.startswith(HASHED):
        digits = key.removeprefix(HASHED).lower()
        if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
            raise ValueError("64 hex digits must follow sha256:")
        return HASHED + digits
    if not key:
        raise ValueError("a key must not be empty")
    return _digest(key)


def is_known(key: str | None, hashes: Sequence[str]) -> bool:
    """Whether a key is one of those that the hashes are of; every hash is compared, in a time that tells nothing."""
    if key is None:
        return False
    own = _digest(key)
    known = [hmac.compare_digest(own, one) for one in hashes]
    return any(known)


def bearer_of(authorization: str | None) -> str | None:
    """The key of an Authorization header with the scheme Bearer (RFC 6750)."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def refused(*schemes: str) -> Problem:
    """The answer to who has no right key."""
    detail = "a key is needed: send it as `Authorization: Bearer KEY`"
    return Problem(401, detail, headers={"WWW-Authenticate": ", ".join(f'{scheme} realm="gan"' for scheme in schemes)})


class RequireKey:
    """Lets in who has a key; `/healthz` and `/readyz` are open to all.

    What needs a key is no shared cache's to keep, which would hand it to anyone: the answers are private.

    Args:
        app: what is behind the door.
        hashes: of the keys, by `hash_key`; at least one.
        root_path: prefix of the service's paths.
        metrics: where to count who is not let in.
    """

    def __init__(self, app: ASGIApp, *, hashes: Sequence[str], root_path: str, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._hashes = tuple(hashes)
        self._open = open_paths(root_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open:
            await self._app(scope, receive, send)
        elif self._may_enter(scope):
            await self._app(scope, receive, _privately(send))
        else:
            started = time.perf_counter()
            await refused("Bearer", "Basic").response()(scope, receive, send)
            self._metrics.count_request("other", method_of(scope), 401, seconds=time.perf_counter() - started)

    def _may_enter(self, scope: Scope) -> bool:
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            return False
        key = bearer_of(given[0])
        return is_known(_password_of(given[0]) if key is None else key, self._hashes)


def _privately(send: Send) -> Send:
    """Sends answers that only their client may keep (RFC 9111, 3.5: with `public`, anyone might)."""

    async def send_private(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                (name, value.replace(b"public", b"private") if name == b"cache-control" else value)
                for name, value in message["headers"]
            ]
        await send(message)

    return send_private


def _digest(key: str) -> str:
    return HASHED + hashlib.sha256(key.encode()).hexdigest()


def _password_of(authorization: str) -> str | None:
    """The password of an Authorization header with the scheme Basic (RFC 7617)."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(text.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
