"""Keeps the metrics of several worker processes in common files, and adds them up.

The parent makes the files of all workers before it starts any, and reserves their room: a write to a mapped file ends
the process if the file system is full. Each worker maps its files into memory. The process that answers `/metrics`
reads the files of all workers. Nobody makes a file anew that was removed, because it would lack earlier counts.
"""

import logging
import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import Metric, ProcessCollector, multiprocess, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.registry import Collector

_PID = ".pid"  # the suffix of a file that holds a worker's process id
_PID_BYTES = 16
_EMPTY = (8).to_bytes(8, "little")  # the head of a file of prometheus_client: 8 bytes are used, and they are this head

_SIZES = {"counter": 2**18, "histogram": 2**18, "gauge_livesum": 2**16, "gauge_livemax": 2**16}
"""Bytes that are reserved for each file of a worker, by the beginning of its name."""

BYTES_OF_A_WORKER = sum(_SIZES.values()) + _PID_BYTES

_log = logging.getLogger(__name__)


class LostFilesError(Exception):
    """A file with the metrics of a worker was removed while the service ran."""


class _ReservedDict(MmapedDict):
    """prometheus_client's mapped file, whose room is reserved before it is used. Counts without room are left out."""

    _told = False

    def read_value(self, key: str) -> tuple[float, float]:
        found: tuple[float, float] = super().read_value(key) if self._has_room(key) else (0.0, 0.0)  # type: ignore[no-untyped-call]
        return found

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        if self._has_room(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def _has_room(self, key: str) -> bool:
        needed = self._used + len(key.encode()) + 32  # its length, up to 8 bytes of padding, and two numbers
        if key in self._positions or needed <= self._capacity:
            return True
        try:
            os.posix_fallocate(self._f.fileno(), 0, 2 * self._capacity)
        except OSError as error:
            if not self._told:
                self._told = True
                _log.error("new metrics are left out, because %s cannot grow: %s; make room there", self._fname, error)
            return False
        self._capacity *= 2
        self._m = mmap.mmap(self._f.fileno(), self._capacity)
        return True


def make_files(folder: Path, *, workers: int) -> None:
    """Make the files of all workers in an empty folder, and reserve their room.

    Raises:
        OSError: the file system has no room for them.
    """
    for worker in range(workers):
        for path, size in {folder / f"{kind}_{worker}.db": size for kind, size in _SIZES.items()}.items():
            with path.open("xb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        (folder / f"{worker}{_PID}").write_bytes(b" " * _PID_BYTES)


def count_in_files(folder: Path, *, worker: int) -> None:
    """Keep the metrics that are made from now on in files of `folder`.

    A process that gets the number of an earlier worker continues its files, so a counter never falls.

    Args:
        folder: the folder that all workers share, with the files of `make_files`.
        worker: a number that no other living process has.

    Raises:
        OSError: a file of this worker is missing or cannot be written.
    """
    for kind in _SIZES:
        (folder / f"{kind}_{worker}.db").stat()
    _overwrite(folder / f"{worker}{_PID}", str(os.getpid()).encode().ljust(_PID_BYTES))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.MmapedDict = _ReservedDict  # type: ignore[attr-defined]
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: worker)  # type: ignore[no-untyped-call]


def forget_gauges(folder: Path, *, worker: int) -> None:
    """Empty the gauges of a worker that has ended, which would be shown for ever. The files keep their room."""
    with suppress(OSError):  # they were removed: `AllWorkers` reports this
        _overwrite(folder / f"{worker}{_PID}", b" " * _PID_BYTES)
        for kind in _SIZES:
            if kind.startswith("gauge_live"):
                _overwrite(folder / f"{kind}_{worker}.db", _EMPTY)


def _overwrite(path: Path, beginning: bytes) -> None:
    """Write the first bytes of a file, which exists and has room for them."""
    with path.open("r+b", buffering=0) as file:
        file.write(beginning)


class AllWorkers(Collector):
    """Collects the sums of the files in a folder, and the process metrics of each worker.

    Args:
        folder: the folder of `make_files`.
        workers: number of workers.
    """

    def __init__(self, folder: Path, *, workers: int) -> None:
        self._folder = folder
        self._files = [folder / f"{kind}_{worker}.db" for worker in range(workers) for kind in _SIZES]

    def collect(self) -> Iterable[Metric]:
        """Return all metrics. Prometheus' registry calls this.

        Raises:
            LostFilesError: a file was removed, so the sums would be too small.
        """
        try:
            merged: Iterable[Metric] = multiprocess.MultiProcessCollector.merge(list(map(str, self._files)))  # type: ignore[no-untyped-call]
            for path in self._files:  # prometheus_client passes over the gauges that are missing
                path.stat()
        except FileNotFoundError as error:
            raise LostFilesError(str(error)) from error
        return [*merged, *self._processes()]

    def _processes(self) -> Iterable[Metric]:
        """Return memory, processor time and open files of all workers, as `ProcessCollector` does for one process."""
        found: dict[str, Metric] = {}
        for worker, process in sorted(_pids(self._folder).items()):
            for metric in ProcessCollector(pid=lambda process=process: process, registry=None).collect():  # type: ignore[misc]
                family = found.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    family.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
        return found.values()


def _pids(folder: Path) -> dict[str, int]:
    """Return the process id of each worker."""
    found = {}
    for path in folder.glob(f"*{_PID}"):
        with suppress(OSError, ValueError):  # it is blank: the worker has ended, or has not started yet
            found[path.stem] = int(path.read_text())
    return found
