"""Runs uvicorn on a listening socket, in this process."""

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.main import create_app
from app.malloc import give_memory_back
from app.server.admission import Admission
from app.server.fast_path import FastPath
from app.server.protocol import GuardedConfig, GuardedProtocol
from app.server.sweeper import Sweeper, drop
from app.settings import Settings
from app.telemetry.logs import configure
from app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

SECURITY_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),  # any page may show the service's pictures
]
"""Headers of every answer. uvicorn puts them before the service's own, also on answers that it makes itself."""

ACCEPTORS = 128
"""Connections that one pass of the event loop accepts. libuv accepts one for each descriptor, however many wait.

Passes are long under load. With one descriptor, a new connection, such as that of a probe of `/healthz`, would wait for
one pass for each connection that came before it.
"""

ENDING_S = 30
"""Seconds for requests under way to end, once no more are accepted."""

CUT_OFF_S = 2
"""Seconds for the work of requests to end after their connections have been cut off."""

TELL_S = 1.0
"""Seconds between two updates of the gauge of requests under way, so that no request has to update it itself."""

LINGER_S = 0.2
"""Seconds from the last accepted connection to the end of idle ones, whose next request may be on its way."""


_log = logging.getLogger(__name__)


def reserve(host: str, port: int) -> socket.socket:
    """Return a socket that alone is bound to this address, and never listens. Port 0 takes a free port.

    `listen_beside` makes the sockets that listen there. Until one of them does, clients are refused.

    On Linux two sockets with SO_REUSEADDR may have one address as long as neither listens, and without the option a
    service could not start soon after another has ended. The socket therefore has the option while it is bound, listens
    for an instant, in which the kernel decides who has the address, and gives the option up again: no other service can
    bind the address from then on, even if nobody listens there.

    Raises:
        OSError: the address is in use, or is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reserved = _bind(family, (host, port), socket.SO_REUSEADDR)
    if sys.platform == "linux" and port != 0:  # the kernel gives nobody else a free port that it has given to us
        try:
            reserved.listen(0)
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # for `listen_beside`
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            reserved.shutdown(socket.SHUT_RD)  # it is still bound, but it listens no longer
        except OSError:
            reserved.close()
            raise
    return reserved


def listen_beside(reserved: socket.socket) -> socket.socket:
    """Return a socket that may listen at the address of `reserved`. Only a process that has `reserved` can make one.

    On Linux there may be several: for each connection the kernel picks one that listens.
    """
    if sys.platform != "linux":  # elsewhere SO_REUSEADDR never gives one address to two sockets
        return reserved.dup()
    return _bind(reserved.family, reserved.getsockname(), socket.SO_REUSEADDR, socket.SO_REUSEPORT)


def url(listener: socket.socket) -> str:
    """Return the URL of a socket, without a slash at the end."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def trusted_proxies(service: ASGIApp) -> ASGIApp:
    """Wrap a service in uvicorn's middleware, which trusts the headers of the proxies in `FORWARDED_ALLOW_IPS`."""
    allowed = os.environ["FORWARDED_ALLOW_IPS"]
    return cast("ASGIApp", ProxyHeadersMiddleware(cast("ASGI3Application", service), trusted_hosts=allowed))


def serve(
    settings: Settings,
    listener: socket.socket,
    *,
    metrics: Metrics,
    ready: Callable[[], None],
    worker: int | None = None,
) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT; requests under way then have `ENDING_S` seconds to end.

    Args:
        settings: the service's settings.
        listener: a bound socket; it is closed at the end.
        metrics: the metrics that the service updates.
        ready: function that is called once the service answers requests.
        worker: the number of this process, if it is one of several.
    """
    configure(settings.log_level, settings.log_format, worker=worker)
    give_memory_back()
    admission = Admission(
        max_requests=settings.max_requests, metrics=metrics, root_path=settings.root_path, origins=settings.cors_origins
    )
    app = create_app(settings, metrics, is_ending=lambda: server.should_exit)
    # uvicorn's own variable. Without it the headers of proxies are not looked at, which saves each request 3 µs.
    believes_proxies = "FORWARDED_ALLOW_IPS" in os.environ
    config = GuardedConfig(
        app,
        admission=admission,
        fast_path=FastPath(app, proxy=trusted_proxies if believes_proxies else None).take,
        log_config=None,
        log_level=settings.log_level,
        access_log=False,  # `app.middleware.access_log` writes one
        server_header=False,
        headers=SECURITY_HEADERS,
        proxy_headers=believes_proxies,
        timeout_graceful_shutdown=ENDING_S + CUT_OFF_S,  # `_Server` cuts the requests off before
        ws="none",
    )
    server = _Server(config, admission, metrics, ready, grace_s=settings.shutdown_grace_s)
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after an orderly shutdown
        server.run(sockets=[listener, *(listener.dup() for _ in range(ACCEPTORS - 1))])


class _Server(uvicorn.Server):
    """uvicorn's server, with five additions.

    It calls `ready` when it serves, runs the sweeper, and sets the gauge of requests under way. When it is told to end,
    it first serves on for `grace_s` seconds, and then answers the connections that have arrived before it closes. It
    cuts off the requests that have not ended `ENDING_S` seconds later, and says how many they are.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        admission: Admission,
        metrics: Metrics,
        ready: Callable[[], None],
        *,
        grace_s: float,
    ) -> None:
        super().__init__(config)
        self._admission = admission
        self._metrics = metrics
        self._ready = ready
        self._grace_s = grace_s
        self._beside: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            gc.freeze()  # these objects stay: a garbage collection of them would stop the service for 0.1 s or more
            sweeper = Sweeper(self.server_state.connections)
            self._beside = [asyncio.create_task(sweeper.run()), asyncio.create_task(self._count())]
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._admission.is_closing = True
        if not self.force_exit:
            await asyncio.sleep(self._grace_s)
        last = [listener.dup() for listener in (sockets or [])[:1]]
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for listener in last:
            await self._take_last(listener)
        await asyncio.sleep(LINGER_S)
        await super().shutdown(sockets)
        for task in self._beside:
            task.cancel()

    async def _wait_tasks_to_complete(self) -> None:
        """Wait for the requests under way, and cut off those that do not end in time, or at a second Ctrl-C.

        uvicorn would cancel them, and log the traceback of each. Here their clients go first, and a request whose
        client has gone ends by itself.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(super()._wait_tasks_to_complete(), ENDING_S)
        left = [one for one in self.server_state.connections if isinstance(one, GuardedProtocol)]
        if not left:
            return
        requests = "1 request was" if len(left) == 1 else f"{len(left)} requests were"
        why = "a second signal came" if self.force_exit else f"it had not ended {ENDING_S} s after the order to stop"
        _log.warning("%s cut off, because %s", requests, why if len(left) == 1 else why.replace("it ", "they ", 1))
        for connection in left:
            drop(connection)
        with suppress(TimeoutError):
            async with asyncio.timeout(CUT_OFF_S):
                while self.server_state.tasks:
                    await asyncio.sleep(0.01)

    async def _take_last(self, listener: socket.socket) -> None:
        """Accept the connections that wait in the kernel's queue, because closing `listener` would reset them."""
        listener.setblocking(False)
        made = []
        with suppress(OSError):  # there is no further connection
            while True:
                made.append(listener.accept()[0])
        listener.close()
        for connection in made:
            connection.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> GuardedProtocol:
        return GuardedProtocol(cast("GuardedConfig", self.config), self.server_state, self.lifespan.state)

    async def _count(self) -> None:
        """Set the gauge of requests under way every `TELL_S` seconds, until cancelled."""
        while True:
            self._metrics.in_progress.set(len(self.server_state.tasks))
            await asyncio.sleep(TELL_S)


def _bind(family: int, address: tuple[str, int], *options: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option in options:
            listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
