"""`python -m app`: the service, with the settings of the environment."""

import logging
import socket
import sys
from contextlib import suppress

import uvicorn
from pydantic import ValidationError

from app.main import create_app
from app.settings import Settings
from models.device import resolve_device
from models.errors import DeviceError


def main() -> int:
    """Serve until told to stop; returns the exit code: 0, 1 when the port is taken, 2 for bad settings."""
    try:
        settings = Settings()
        resolve_device(settings.device)
    except ValidationError as error:
        for mistake in error.errors():
            name = "GAN_" + "_".join(str(part) for part in mistake["loc"]).upper()
            print(f"error: {name}: {mistake['msg']}, not {mistake['input']!r}", file=sys.stderr)
        return 2
    except DeviceError as error:
        print(f"error: GAN_DEVICE: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    try:
        listener = _listen(settings.host, settings.port)
    except OSError as error:
        print(f"error: cannot listen on {settings.host}:{settings.port}: {error.strerror}", file=sys.stderr)
        return 1
    config = uvicorn.Config(
        create_app(settings),
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=30,
    )
    with suppress(KeyboardInterrupt):  # uvicorn raises it once more after it has ended in order
        _Server(config, listener).run(sockets=[listener])
    return 0


class _Server(uvicorn.Server):
    """uvicorn, saying where it serves once it does."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._listener = listener

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            host, port = self._listener.getsockname()[:2]
            print(f"Serving on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


if __name__ == "__main__":
    sys.exit(main())
