"""Admission: while as many requests as may are under way, further ones are refused before anything is done for them.

Under many times the load that it can answer, a service that takes all that comes answers everything late. So what is
refused has to cost next to nothing: neither a task nor a scope nor a look at the parameters.
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
"""After so many a request that was put off is read, however many there are."""

LOOK_AGAIN_S = 0.02
"""Slow clients are counted at most so often."""

MAX_READ = 64
"""Requests that one pass of the event loop reads at once: as many as there are rows in a call of the engine's."""

TURN_S = 0.002
"""Of each pass of the event loop, for requests that were put off."""

Headers = list[tuple[bytes, bytes]]


class Admission:
    """Refuses requests, by 429, while as many as may are under way; supervisors always come in.

    A request counts until it has been answered, but not while it waits for its client: whoever sends or reads slowly
    keeps nobody out.

    Args:
        max_requests: that may be under way at once.
        metrics: where to count those that are refused.
        root_path: prefix of the service's paths.
        origins: whose pages may read the answers.

    Attributes:
        refuse: an application (ASGI) that answers as `refusal` does; a page's request as its browser wants it.
        needs_more: names of headers; a GET that has one wants more than `refusal`.
    """

    def __init__(
        self, *, max_requests: int, metrics: Metrics, root_path: str = "", origins: Sequence[str] = ()
    ) -> None:
        self.max_requests = max_requests
        self.is_closing = False  # each connection ends with its next answer
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
        """Whether a request may come in that finds as many under way as may, those of slow clients counted.

        Args:
            url: what is asked for.
            requests: under way.
            count_slow: how many of them wait for their clients.
        """
        now = time.monotonic()
        if now - self._looked > LOOK_AGAIN_S:
            self._looked = now
            self._slow = count_slow()
        if requests - self._slow < self.max_requests or url.partition(b"?")[0] in self._open:
            return True
        self._metrics.count_refused()
        return False

    def may_read(self, requests: int) -> bool:
        """Whether a request may be read at once; else it has to be put off.

        Args:
            requests: under way.
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
        """Have a connection's request read when its turn comes.

        Those that are put off share `TURN_S` of each pass of the event loop. So a pass is short, whatever comes:
        supervisors, whose requests are read at once, are answered soon, and answers get done.
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
        """The whole answer to a request that may not come in.

        Args:
            headers: those of every answer.
            kept: its connection is kept.
        """
        if headers is not self._headers:  # another date: once a second
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
