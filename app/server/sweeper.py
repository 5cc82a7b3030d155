"""The sweeper ends connections on which nothing moves.

Now and then it looks at all connections, and ends those on which a head, a body or the reading of an answer takes too
long. Requests themselves pay nothing for it.
"""

import asyncio
import socket
import struct
from collections.abc import Iterable

from app.server.protocol import GuardedProtocol, Standing, refuse

SWEEP_S = 2.0

HEAD_TIMEOUT_S = 30.0
"""Until a request's head is there, from the connection's begin or from the end of the answer before."""

BODY_TIMEOUT_S = 120.0
"""Until a request's body is there, from its head."""

IDLE_TIMEOUT_S = 5.0
"""Between a request that has been answered and the first byte of the next."""

STUCK_TIMEOUT_S = 60.0
"""For a client that reads nothing of an answer that waits for it."""

_AT_ONCE = struct.pack("ii", 1, 0)
_LIMITS_S = {"idle": IDLE_TIMEOUT_S, "head": HEAD_TIMEOUT_S, "body": BODY_TIMEOUT_S, "reading": STUCK_TIMEOUT_S}


class Sweeper:
    """Ends connections on which nothing moves.

    Args:
        connections: of a server; looked at again at each sweep.
        limits_s: by phase.
    """

    def __init__(self, connections: Iterable[object], limits_s: dict[str, float] | None = None) -> None:
        self._connections = connections
        self._limits_s = limits_s or _LIMITS_S
        self._since: dict[GuardedProtocol, tuple[Standing, float]] = {}

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep(asyncio.get_running_loop().time())

    def sweep(self, now: float) -> None:
        """Look at all connections, at a time in seconds."""
        before, self._since = self._since, {}
        for connection in [one for one in self._connections if isinstance(one, GuardedProtocol)]:
            standing = connection.standing()
            if standing is None or connection.transport.is_closing():
                continue
            known = before.get(connection)
            since = known[1] if known is not None and known[0] == standing else now
            if now - since < self._limits_s[standing.phase]:
                self._since[connection] = (standing, since)
            elif standing.phase == "idle":
                connection.transport.close()
            elif standing.phase == "reading":
                drop(connection)  # it would read no word of ours
            else:
                refuse(connection, b"408 Request Timeout")


def drop(connection: GuardedProtocol) -> None:
    """End a connection by a reset: else the kernel would keep what was not read, megabytes, and try for minutes."""
    connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    connection.transport.abort()
