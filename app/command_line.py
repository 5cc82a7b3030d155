"""The command that runs the service with the settings of the environment: `python -m app`, or `gan-serve`."""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from app.environment import DotEnvError
from app.server.machine import MachineError, check_machine
from app.server.uvicorn_server import listen_beside, reserve, serve, url
from app.settings import Settings, mistakes_of
from app.telemetry.metrics import Metrics
from models import __version__
from models.device import resolve_device
from models.errors import DeviceError

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop.

    Args:
        arguments: the arguments of the command line; None takes them from `sys.argv`.

    Returns:
        The exit code: 0 after an ordinary end, 1 if the machine, the port or the workers fail, 2 for bad settings.

    Raises:
        SystemExit: `--help` or `--version` was given (code 0), or an argument is unknown (code 2).
    """
    parser = argparse.ArgumentParser(
        prog="gan-serve" if Path(sys.argv[0]).name == "gan-serve" else "python -m app",
        description="Serve images from model folders over HTTP. Settings are GAN_* variables, or lines of a file .env.",
    )
    parser.add_argument(
        "--version", action="version", version=f"gan-service {__version__}", help="print the version and exit"
    )
    parser.parse_args(arguments)
    try:
        settings = _read_settings()
        with _reserve(settings) as reserved:
            _serve(settings, reserved)
    except StartError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)
        return error.code
    return 0


class StartError(Exception):
    """The service cannot start, or cannot go on.

    Args:
        code: the exit code.
        lines: the error message, one line for each mistake: what is wrong, and what to do.
    """

    def __init__(self, code: int, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.code = code
        self.lines = lines


def _read_settings() -> Settings:
    try:
        settings = Settings()
        resolve_device(settings.device)
    except ValidationError as error:
        raise StartError(2, mistakes_of(error)) from error
    except DotEnvError as error:
        raise StartError(2, [str(error)]) from error
    except DeviceError as error:
        raise StartError(2, [f"GAN_DEVICE: {error}"]) from error
    return settings


def _reserve(settings: Settings) -> socket.socket:
    try:
        check_machine()
        return reserve(settings.host, settings.port)
    except MachineError as error:
        raise StartError(1, [str(error)]) from error
    except OSError as error:
        place = f"{settings.host}:{settings.port}"
        line = f"cannot listen on {place}: {error.strerror}; change GAN_HOST or GAN_PORT"
        raise StartError(1, [line]) from error
    except (UnicodeError, TypeError, ValueError) as error:  # Python's own, for what is no name of a host
        line = f"GAN_HOST: {settings.host!r} is no address and no name of a host; write one such as 127.0.0.1"
        raise StartError(2, [line]) from error


def _say(line: str) -> None:
    """Print a line; if standard output takes none, as on a full disk, log it and go on without standard output."""
    try:
        print(line, flush=True)
    except OSError as error:
        _log.warning("standard output cannot be written (%s): %s", error.strerror, line)
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123  (no path)
            os.dup2(nothing.fileno(), sys.stdout.fileno())  # else Python would fail at the end, as the line still waits


def _serve(settings: Settings, reserved: socket.socket) -> None:
    address_line = f"Serving on {url(reserved)}"
    if settings.workers == 1:
        with listen_beside(reserved) as listener:
            serve(settings, listener, metrics=Metrics(), ready=lambda: _say(address_line))
        return

    from app.server.supervisor import WorkersError, supervise  # noqa: PLC0415  (Unix only, and one process does not need it)

    try:
        supervise(settings, reserved, ready=lambda: _say(address_line))
    except WorkersError as error:
        raise StartError(1, [str(error)]) from error
