"""The supervisor: it starts, watches, replaces and ends several processes behind one port, and serves nothing itself.

Each worker is a fresh interpreter (`app.server.worker`) with a listening socket of its own on the common port
(docs/decisions/0006-workers.md). Two pipes connect it to the parent. The worker writes one line to its standard output
when it is ready. Nothing is sent to its standard input. The end of this pipe shows the worker that the parent is gone.
"""

import asyncio
import logging
import signal
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from app.server.shared_folder import shared_folder
from app.server.uvicorn_server import listen_beside
from app.server.worker import READY, command, environment
from app.settings import Settings
from app.telemetry.logs import configure
from app.telemetry.worker_files import BYTES_OF_A_WORKER, forget_gauges, make_files

MAX_FAILED_STARTS = 3
"""After this many starts of one worker in a row that failed before the worker was ready, the service ends.

It goes on if it has served with all workers once, and another worker still serves: then the worker is started again
every `RETRY_S` seconds.
"""

RETRY_S = 10.0

_log = logging.getLogger(__name__)


class WorkersError(Exception):
    """The workers cannot be kept running."""


def supervise(settings: Settings, reserved: socket.socket, *, ready: Callable[[], None]) -> None:
    """Keep `settings.workers` workers running until SIGTERM or SIGINT; then let the requests under way end.

    Args:
        settings: the service's settings.
        reserved: the socket of `uvicorn_server.reserve`, which holds the workers' address; it is closed at the end.
        ready: function that is called once, when all workers are ready.

    Raises:
        WorkersError: a worker cannot be started, or the folder for the metrics cannot be made.
    """
    configure(settings.log_level, settings.log_format)
    with ExitStack() as stack:
        try:
            metrics_dir = stack.enter_context(shared_folder())
            make_files(metrics_dir, workers=settings.workers)
        except OSError as error:
            raise WorkersError(
                f"the folder for the metrics of {settings.workers} workers cannot be made: {error}; make room for "
                f"{settings.workers * BYTES_OF_A_WORKER // 1024 + 1} KiB, or set TMPDIR to a folder that can be written"
            ) from error
        asyncio.run(_Workers(settings, reserved, metrics_dir, ready).run())


class _Workers:
    def __init__(
        self, settings: Settings, reserved: socket.socket, metrics_dir: Path, ready: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._reserved = reserved
        self._metrics_dir = metrics_dir
        self._say_ready: Callable[[], None] | None = ready
        self._processes: dict[int, Process] = {}
        self._ready: set[int] = set()
        self._reloads = 0
        self._stopping = asyncio.Event()
        self._failure: str | None = None

    async def run(self) -> None:
        """Keep all workers running until this process is told to stop them, and wait for their end.

        Raises:
            WorkersError: a worker could not be started.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        await asyncio.gather(*(self._keep(worker) for worker in range(self._settings.workers)))
        if self._failure is not None:
            raise WorkersError(self._failure)

    async def _keep(self, worker: int) -> None:
        """Keep one worker running: replace it whenever it ends, until all are told to end."""
        failed_starts = 0
        while not self._stopping.is_set():
            was_ready, end = await self._run_one(worker)
            if self._stopping.is_set():
                return
            failed_starts = 0 if was_ready else failed_starts + 1
            if failed_starts >= MAX_FAILED_STARTS and self._say_ready is None and self._ready:
                _log.error(
                    "worker %d ended %s, before it was ready, for the %d. time; the others go on, and it is started "
                    "again in %g s",
                    worker,
                    end,
                    failed_starts,
                    RETRY_S,
                )
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), RETRY_S)
            elif failed_starts >= MAX_FAILED_STARTS:
                self._failure = (
                    f"worker {worker} ended {failed_starts} times before it was ready, the last time {end}; "
                    "its lines in the log say why"
                )
                self._stop(signal.SIGTERM)
            else:
                _log.error("worker %d ended %s; another takes its place", worker, end)

    async def _run_one(self, worker: int) -> tuple[bool, str]:
        """Start a worker and wait for its end. Return whether it was ready in between, and how it ended."""
        reloads = self._reloads
        try:
            process = await self._start(worker)
        except OSError as error:
            return False, f"at once: {error}"
        self._processes[worker] = process
        if self._stopping.is_set():  # the order to stop came while the worker was being started
            _send(process, signal.SIGTERM)
        was_ready = process.stdout is not None and await process.stdout.readline() == READY
        if was_ready:
            self._count_ready(worker, reloads=reloads)
        code = await process.wait()
        self._ready.discard(worker)
        forget_gauges(self._metrics_dir, worker=worker)
        return was_ready, f"by signal {-code}" if code < 0 else f"with exit code {code}"

    async def _start(self, worker: int) -> Process:
        # Only the worker has its socket: when it dies, the kernel gives new connections to the other workers.
        with listen_beside(self._reserved) as listener:
            return await asyncio.create_subprocess_exec(
                *command(worker, listener.fileno(), self._metrics_dir),
                env=environment(self._settings),
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=[listener.fileno()],
                process_group=0,  # Ctrl-C in a terminal reaches the parent alone, which then signals the workers
            )

    def _reload(self) -> None:
        """Have every ready worker read the models folder again."""
        self._reloads += 1
        for worker in self._ready:
            _send(self._processes[worker], signal.SIGHUP)

    def _count_ready(self, worker: int, *, reloads: int) -> None:
        self._ready.add(worker)
        if reloads != self._reloads:  # a reload came since its start: it may have read the folder before
            _send(self._processes[worker], signal.SIGHUP)
        if len(self._ready) == self._settings.workers and self._say_ready is not None and not self._stopping.is_set():
            self._say_ready()
            self._say_ready = None

    def _stop(self, number: signal.Signals) -> None:
        """End all workers in order; a second signal is passed on to them, and a SIGINT then ends them at once."""
        again = self._stopping.is_set()
        self._stopping.set()
        self._reserved.close()
        for process in self._processes.values():
            _send(process, number if again else signal.SIGTERM)


def _send(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)
