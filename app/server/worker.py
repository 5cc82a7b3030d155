"""`python -m app.server.worker`: one of several processes of the service. Only `app.server.supervisor` starts it."""

import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from app.environment import PREFIX
from app.server.uvicorn_server import serve
from app.settings import Settings
from app.telemetry.logs import configure
from app.telemetry.metrics import Metrics
from app.telemetry.worker_files import count_in_files

READY = b"ready\n"
"""The line that a worker writes to its standard output once it answers requests."""

ORPHAN_GRACE_S = 1.0
"""Seconds for the requests under way to end after the parent has gone."""

_log = logging.getLogger(__name__)


class _Inherited(Settings):
    """The settings that a worker gets from its parent in the environment. It does not read `.env` again."""

    reads_dot_env = False


def command(worker: int, listener: int, metrics_dir: Path) -> list[str]:
    """Return the command that starts a worker.

    Args:
        worker: the worker's number, from 0.
        listener: the file descriptor of the worker's socket.
        metrics_dir: the folder in which all workers keep their metrics.
    """
    return [sys.executable, "-m", "app.server.worker", str(worker), str(listener), str(metrics_dir)]


def environment(settings: Settings) -> dict[str, str]:
    """Return a worker's environment: the parent's settings, even if .env has changed, and no thread pools of BLAS."""
    others = {name: text for name, text in os.environ.items() if not name.upper().startswith(PREFIX)}
    named = {f"{PREFIX}{name.upper()}": text for name, value in settings.model_dump().items() if (text := _text(value))}
    return others | named | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def _text(value: object) -> str:
    """Return the value of a setting as the text of its environment variable."""
    if value is None:
        return ""
    return ",".join(value) if isinstance(value, tuple) else str(value)


def main() -> None:
    """Serve until told to stop, or until the parent is gone."""
    worker, descriptor, metrics_dir = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    threading.Thread(target=_end_with_parent, args=(metrics_dir,), name="orphan", daemon=True).start()
    settings = _Inherited()
    try:
        count_in_files(metrics_dir, worker=worker)
    except OSError as error:  # the worker serves nevertheless; `/metrics` says that the sums are lost
        configure(settings.log_level, settings.log_format, worker=worker)
        _log.error("worker %d counts nothing, because its metrics cannot be kept: %s", worker, error)
    with socket.socket(fileno=descriptor) as listener:
        metrics = Metrics(metrics_dir, workers=settings.workers)
        serve(settings, listener, metrics=metrics, ready=_say_ready, worker=worker)


def _say_ready() -> None:
    os.write(sys.stdout.fileno(), READY)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the parent reads no further: later output goes to the log


def _end_with_parent(metrics_dir: Path) -> None:
    """Wait for the end of standard input, which the parent keeps open while it lives; then end this process.

    Args:
        metrics_dir: the folder with the metrics of all workers; removed, because the parent can no longer do so.
    """
    while os.read(sys.stdin.fileno(), 1):
        pass
    shutil.rmtree(metrics_dir, ignore_errors=True)  # the parent, which removes it otherwise, is gone
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(ORPHAN_GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    main()
