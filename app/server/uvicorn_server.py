"""One process that serves: uvicorn on a socket."""

import asyncio
import gc
import os
import socket
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
from app.server.sweeper import Sweeper
from app.settings import Settings
from app.telemetry.logs import configure
from app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

SECURITY_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),  # anyone's page may show our pictures
]
"""Of every answer; uvicorn puts them before the service's own, also on what it answers by itself."""

ACCEPTORS = 128
"""Connections that one pass of the event loop accepts: libuv takes one for each descriptor, however many wait.

Under load, when passes are long, with one descriptor whoever comes on a new connection, as supervisors do, would wait
for a pass for each that came before.
"""

ENDING_S = 30
"""What requests under way get to end, once none come in any more."""

TELL_S = 1.0
"""How often the requests under way are counted: requests themselves pay nothing for it."""

LINGER_S = 0.2
"""From the last connection to the end of those that wait for a request: it may be on its way."""


def listen(host: str, port: int) -> socket.socket:
    """A socket with this address, for itself alone; port 0 takes a free one. It does not listen yet.

    Raises:
        OSError: the address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return _bind(family, (host, port), socket.SO_REUSEADDR)


def listen_beside(reserved: socket.socket) -> socket.socket:
    """One more socket with the address of `reserved`; of those that listen, the kernel picks one for a connection."""
    return _bind(reserved.family, reserved.getsockname(), socket.SO_REUSEADDR, socket.SO_REUSEPORT)


def url(listener: socket.socket) -> str:
    """Where a socket is reached, without a slash at the end."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def trusted_proxies(service: ASGIApp) -> ASGIApp:
    """uvicorn's own middleware, which believes the proxies that `FORWARDED_ALLOW_IPS` names."""
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
    """Serve on a bound socket until told to stop by SIGTERM or SIGINT; requests under way get `ENDING_S` to end.

    Args:
        settings: of the service.
        listener: a socket; closed at the end.
        metrics: where to count.
        ready: called once requests are answered.
        worker: the number of this process, where it is one of several.
    """
    configure(settings.log_level, settings.log_format, worker=worker)
    give_memory_back()
    admission = Admission(
        max_requests=settings.max_requests, metrics=metrics, root_path=settings.root_path, origins=settings.cors_origins
    )
    app = create_app(settings, metrics, is_ending=lambda: server.should_exit)
    believes_proxies = "FORWARDED_ALLOW_IPS" in os.environ  # uvicorn's own variable; to look costs each request 3 µs
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
        timeout_graceful_shutdown=ENDING_S,
        ws="none",
    )
    server = _Server(config, admission, metrics, ready, grace_s=settings.shutdown_grace_s)
    with suppress(KeyboardInterrupt):  # uvicorn raises it once more after it has ended in order
        server.run(sockets=[listener, *(listener.dup() for _ in range(ACCEPTORS - 1))])


class _Server(uvicorn.Server):
    """uvicorn, saying that it serves once it does, sweeping and counting what goes on, and ending without haste."""

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
            gc.freeze()  # what is there stays: to look for garbage in all of it stops the service for 0.1 s and more
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

    async def _take_last(self, listener: socket.socket) -> None:
        """Take the connections that the kernel has made and nobody has accepted: with the listener it resets them."""
        listener.setblocking(False)
        made = []
        with suppress(OSError):  # there is none any more
            while True:
                made.append(listener.accept()[0])
        listener.close()
        for connection in made:
            connection.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> GuardedProtocol:
        return GuardedProtocol(cast("GuardedConfig", self.config), self.server_state, self.lifespan.state)

    async def _count(self) -> None:
        """Tell how many requests are under way, until cancelled."""
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
