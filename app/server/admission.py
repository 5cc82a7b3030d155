"""Admission: it limits the number of requests under way, and refuses further ones with 429.

A service that accepts more requests than it can answer answers all of them late. A refusal must cost next to nothing,
or it would not help: for a plain GET, no task and no ASGI scope are made, and the parameters are not parsed. Reading a
request also takes time. While the service is full, requests are therefore deferred: they wait in a queue, and each pass
of the event loop reads some of them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.state import RETRY_AFTER_S, overloaded
from app.middleware.auth import open_paths
from app.middleware.cors import Cors
from app.telemetry.metrics import Metrics

MOST_PASSES = 16
"""Each pass of the event loop reads at least one in `MOST_PASSES` deferred requests, even if `TURN_S` is over."""

LOOK_AGAIN_S = 0.02
"""Seconds for which a count of the slow clients is used before they are counted again."""

MAX_READ = 64
"""The most requests that one pass of the event loop reads at once: as many as a call of the engine has rows."""

TURN_S = 0.002
"""Seconds of each pass of the event loop in which deferred requests are read."""

Headers = list[tuple[bytes, bytes]]


class Admission:
    """Refuses requests with 429 while `max_requests` are under way, but never those for `/healthz` and `/readyz`.

    A request counts until it has been answered, but not while it waits for its client: a client that sends or reads
    slowly keeps nobody out.

    Args:
        max_requests: the most requests that may be under way at once.
        metrics: the metrics that count the refused requests.
        root_path: prefix of the service's paths.
        origins: the origins whose pages may read the answers.

    Attributes:
        refuse: an ASGI application that answers as `refusal` does, and adds the CORS headers that browsers need.
        needs_more: header names in lower case; a GET with one of them cannot be refused by the bytes of `refusal`
            alone.
        first: the possible first bytes of requests for `/healthz` and `/readyz`, which are always read at once.
    """

    def __init__(
        self, *, max_requests: int, metrics: Metrics, root_path: str = "", origins: Sequence[str] = ()
    ) -> None:
        self.max_requests = max_requests
        self.is_closing = False  # if true, each connection is closed after its next answer
        self.needs_more = {b"content-length", b"transfer-encoding"} | ({b"origin"} if origins else set())
        self.refuse: ASGIApp = Cors(_refuse, origins) if origins else _refuse
        self._metrics = metrics
        self._open = {path.encode() for path in open_paths(root_path)}
        self.first = tuple(b"%b %b" % (method, url) for method in (b"GET", b"HEAD") for url in self._open)
        self._put_off: deque[Callable[[], None]] = deque()
        self._read = 0
        self._slow = 0
        self._looked = 0.0
        self._refusals: dict[bool, bytes] = {}
        self._headers: Headers | None = None

    def lets_in(self, url: bytes, requests: int, count_slow: Callable[[], int]) -> bool:
        """Whether a request may come in; called if `max_requests` are under way. A refusal is counted in the metrics.

        Args:
            url: the request's target.
            requests: number of requests under way, including those that wait for a slow client.
            count_slow: function that returns the number of those that wait for a slow client.
        """
        now = time.monotonic()
        if now - self._looked > LOOK_AGAIN_S:
            self._looked = now
            self._slow = count_slow()
        if requests - self._slow < self.max_requests or url.partition(b"?")[0] in self._open:
            return True
        self._metrics.count_refused()
        return False

    def count_unreadable(self, status: int) -> None:
        """Count an answer with this status to a request that could not be read."""
        self._metrics.count_unrouted(status)

    def may_read(self, requests: int) -> bool:
        """Whether a request may be read at once; otherwise the caller has to defer it with `put_off`.

        Args:
            requests: number of requests under way.
        """
        if self._put_off or requests >= self.max_requests:
            return False
        self._read += 1
        if self._read == 1:
            asyncio.get_running_loop().call_soon(self._begin_pass)
        return self._read <= MAX_READ

    def _begin_pass(self) -> None:
        self._read = 0

    def put_off(self, reading: Callable[[], None]) -> None:
        """Defer a request: call `reading`, which reads the request from its connection, when its turn comes.

        The deferred requests share `TURN_S` of each pass of the event loop. A pass is therefore short under any load:
        requests for `/healthz` and `/readyz`, which are read at once, are answered soon, and other answers proceed.
        """
        self._put_off.append(reading)
        if len(self._put_off) == 1:
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        end = time.perf_counter() + TURN_S
        least = len(self._put_off) // MOST_PASSES
        while self._put_off and (least > 0 or time.perf_counter() < end):
            least -= 1
            self._put_off[0]()
            self._put_off.popleft()
        if self._put_off:
            asyncio.get_running_loop().call_soon(self._read_on)

    def refusal(self, headers: Headers, *, kept: bool) -> bytes:
        """Return the complete answer to a refused request, as bytes.

        Args:
            headers: the headers that uvicorn puts on every answer.
            kept: whether the connection stays open.
        """
        if headers is not self._headers:  # uvicorn makes a new list once a second, for the date
            self._headers = headers
            self._refusals = {kept: _refusal(headers, kept=kept) for kept in (False, True)}
        return self._refusals[kept]


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await overloaded("requests", RETRY_AFTER_S).response()(scope, receive, send)


def _refusal(headers: Headers, *, kept: bool) -> bytes:
    answer = overloaded("requests", RETRY_AFTER_S).response()
    lines = [b"HTTP/1.1 429 Too Many Requests"]
    lines += [name + b": " + value for name, value in headers + answer.raw_headers]
    lines += [] if kept else [b"connection: close"]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])
