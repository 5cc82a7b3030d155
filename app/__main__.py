"""`python -m app`, or `gan-serve`: run the service with the settings of the environment."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from app.server.uvicorn_server import listen, serve, url
from app.settings import Settings
from app.telemetry.metrics import Metrics
from models import __version__
from models.device import resolve_device
from models.errors import DeviceError


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop.

    Args:
        arguments: the arguments of the command line; None takes them from `sys.argv`.

    Returns:
        The exit code: 0 after an ordinary end, 1 if the port or the workers fail, 2 for bad settings.

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
        settings = Settings()
        resolve_device(settings.device)
    except ValidationError as error:
        for mistake in error.errors():
            name = "GAN_" + "_".join(str(part) for part in mistake["loc"]).upper()
            seen = "" if name.endswith(("_KEY", "_KEYS")) else f", not {mistake['input']!r}"  # keys are secret
            print(f"error: {name}: {mistake['msg']}{seen}", file=sys.stderr)
        return 2
    except DeviceError as error:
        print(f"error: GAN_DEVICE: {error}", file=sys.stderr)
        return 2
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        place = f"{settings.host}:{settings.port}"
        print(f"error: cannot listen on {place}: {error.strerror}; change GAN_HOST or GAN_PORT", file=sys.stderr)
        return 1
    address_line = f"Serving on {url(listener)}"
    if settings.workers == 1:
        serve(settings, listener, metrics=Metrics(), ready=lambda: print(address_line, flush=True))
        return 0

    from app.server.supervisor import WorkersError, supervise  # noqa: PLC0415  (Unix only, and one process does not need it)

    try:
        supervise(settings, listener, ready=lambda: print(address_line, flush=True))
    except WorkersError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
