"""The sweeper: a task that ends connections whose client does nothing for too long.

Every `SWEEP_S` seconds it checks all connections, and ends those that wait too long for the next request, a head, a
body, or the client to read an answer. No request needs a timer of its own.
"""

import asyncio
import socket
import struct
from collections.abc import Iterable
from http import HTTPStatus

from app.server.protocol import GuardedProtocol, Standing

SWEEP_S = 2.0

HEAD_TIMEOUT_S = 30.0
"""Seconds from the first byte of a request's head, or from the start of a new connection, to the end of the head."""

BODY_TIMEOUT_S = 120.0
"""Seconds within which a request's body must move by `MIN_PROGRESS_BYTES`."""

IDLE_TIMEOUT_S = 5.0
"""Seconds from the end of an answer to the first byte of the next request."""

STUCK_TIMEOUT_S = 60.0
"""Seconds within which a client must read `MIN_PROGRESS_BYTES` of an answer that waits for it."""

MIN_PROGRESS_BYTES = 16 * 1024
"""A body, or the reading of an answer, makes progress if at least this many bytes move within its time limit."""

_AT_ONCE = struct.pack("ii", 1, 0)
_LATE = {
    "head": f"no whole request line and headers came within {HEAD_TIMEOUT_S:.0f} s; send them faster",
    "body": f"less than {MIN_PROGRESS_BYTES:,} bytes of the body came within {BODY_TIMEOUT_S:.0f} s; send it faster",
}
_LIMITS_S = {"idle": IDLE_TIMEOUT_S, "head": HEAD_TIMEOUT_S, "body": BODY_TIMEOUT_S, "reading": STUCK_TIMEOUT_S}


class Sweeper:
    """Ends connections whose client has made no progress within a time limit.

    Args:
        connections: the server's set of connections, which changes while the sweeper runs.
        limits_s: seconds that a connection may make no progress, by `Standing.phase`; None takes the defaults.
    """

    def __init__(self, connections: Iterable[object], limits_s: dict[str, float] | None = None) -> None:
        self._connections = connections
        self._limits_s = limits_s or _LIMITS_S
        self._since: dict[GuardedProtocol, tuple[Standing, float]] = {}

    async def run(self) -> None:
        """Call `sweep` every `SWEEP_S` seconds until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep(asyncio.get_running_loop().time())

    def sweep(self, now: float) -> None:
        """Check all connections once, and end those that wait too long; `now` is the event loop's time in seconds."""
        before, self._since = self._since, {}
        for connection in [one for one in self._connections if isinstance(one, GuardedProtocol)]:
            standing = connection.standing()
            if standing is None or connection.transport.is_closing():
                continue
            known = before.get(connection)
            mark, since = known if known is not None and not _goes_on(known[0], standing) else (standing, now)
            if now - since < self._limits_s[standing.phase]:
                self._since[connection] = (mark, since)
            elif standing.phase == "idle":
                connection.transport.close()
            elif standing.phase == "reading":
                drop(connection)  # it reads nothing, so it would not read a 408 either
            else:
                connection.refuse(HTTPStatus.REQUEST_TIMEOUT, _LATE[standing.phase])


def _goes_on(mark: Standing, standing: Standing) -> bool:
    """Whether a connection has made progress since it was at `mark`: a new phase, a new request, or enough bytes."""
    same = (mark.phase, mark.requests) == (standing.phase, standing.requests)
    return not same or abs(standing.moved_bytes - mark.moved_bytes) >= MIN_PROGRESS_BYTES


def drop(connection: GuardedProtocol) -> None:
    """Reset a connection (TCP RST). After a close, the kernel would try for minutes to send its last megabytes."""
    connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    connection.transport.abort()
