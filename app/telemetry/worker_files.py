"""Keeps the metrics of several worker processes in common files, and adds them up.

Each worker maps its files into memory. The process that answers `/metrics` reads the files of all workers.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import Metric, ProcessCollector, multiprocess, values
from prometheus_client.registry import Collector

_PID = ".pid"  # the suffix of a file that holds a worker's process id


def count_in_files(folder: Path, *, worker: int) -> None:
    """Keep the metrics that are made from now on in files of `folder`.

    A process that gets the number of an earlier worker continues its files, so a counter never falls.

    Args:
        folder: the folder that all workers share.
        worker: a number that no other living process has.
    """
    (folder / f"{worker}{_PID}").write_text(str(os.getpid()))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: worker)  # type: ignore[no-untyped-call]


def forget_gauges(folder: Path, *, worker: int) -> None:
    """Remove the gauges of a worker that has ended, which would otherwise be shown for ever."""
    (folder / f"{worker}{_PID}").unlink(missing_ok=True)
    multiprocess.mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]


class AllWorkers(Collector):
    """Collects the sums of the files in a folder, and the process metrics of each worker.

    Args:
        folder: the folder of `count_in_files`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Return all metrics. Prometheus' registry calls this."""
        files = [str(path) for path in self._folder.glob("*.db") if _has_content(path)]
        merged: Iterable[Metric] = multiprocess.MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
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
        with suppress(OSError, ValueError):  # the file is being written or removed at this moment
            found[path.stem] = int(path.read_text())
    return found


def _has_content(path: Path) -> bool:
    """Whether a file has content. It has none while it is being made, and is gone after `forget_gauges`."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
