"""Services of the tests: `harness.service.running` with packages that are imported before (`tests.preloaded`)."""

from contextlib import AbstractContextManager
from pathlib import Path

from harness import service
from harness.service import Service
from tests import preloaded


def running(folder: Path, **options: object) -> AbstractContextManager[Service]:
    """Start a service with these options and settings of `harness.service.running`.

    A test of how a service starts or ends, or of what it has imported, takes `harness.service.running` itself.
    """
    return service.running(folder, start=preloaded.start, **options)  # type: ignore[arg-type]
