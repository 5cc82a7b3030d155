"""`python -m app`: run the service with the settings of the environment."""

import argparse
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from app.server.uvicorn_server import listen, serve, url
from app.settings import Settings
from app.telemetry.metrics import Metrics
from models import __version__
from models.device import resolve_device
from models.errors import DeviceError


def main() -> int:
    """Serve until told to stop. Return the exit code: 0, 1 if the port or the workers fail, 2 for bad settings."""
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
