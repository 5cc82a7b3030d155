"""Counters and histograms for Prometheus, in a registry of their own; those of several processes in common files."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
    multiprocess,
    values,
)
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def count_in_files(folder: Path, *, worker: int) -> None:
    """Keep the metrics that are made from now on in files of `folder`, mapped into memory.

    A worker's files go on where they were when another process takes its number: a counter never falls.

    Args:
        folder: common to all workers.
        worker: a number that no other living process has.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: worker)  # type: ignore[no-untyped-call]


def forget_gauges(folder: Path, *, worker: int) -> None:
    """Drop what a process that has ended left behind in its gauges: nothing waits there any more."""
    multiprocess.mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]


class Metrics:
    """What the service counts.

    Args:
        folder: that of `count_in_files`, to tell what all workers have counted; None tells of this process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.registry = CollectorRegistry()
        self._told = self.registry
        if folder is not None:
            self._told = CollectorRegistry()
            self._told.register(_AllWorkers(folder))
        self.requests = Counter(
            "gan_http_requests",
            "Requests by route, method and status",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "gan_http_request_seconds",
            "Seconds from a request's head to the end of its answer",
            ["route"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self.batch_rows = Histogram(
            "gan_engine_batch_rows",
            "Rows of one call of a network",
            registry=self.registry,
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096),
        )
        self.waiting_rows = Gauge(
            "gan_engine_waiting_rows",
            "Rows in the engine's queue",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.images = Counter("gan_images_generated", "Images generated", ["model"], registry=self.registry)
        self.scored = Counter("gan_images_scored", "Images scored", ["model"], registry=self.registry)
        self.projections = Counter("gan_projections", "Projections made", ["model"], registry=self.registry)
        self.projection_seconds = Histogram(
            "gan_projection_seconds",
            "Seconds of one projection, its wait not counted",
            ["model"],
            registry=self.registry,
            buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
        )
        self.waiting_projections = Gauge(
            "gan_waiting_projections",
            "Projections that wait for the one that runs",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.shed = Counter("gan_requests_shed", "Requests refused because too many waited", registry=self.registry)
        self.models = Gauge(
            "gan_model_info",
            "1 for each usable model",
            ["model"],
            registry=self.registry,
            multiprocess_mode="livemax",
        )

        # `labels` looks a child up under a lock, after a check of its arguments: several times as slowly as this.
        self.images_of = lru_cache(maxsize=None)(self.images.labels)
        self._requests_of = lru_cache(maxsize=None)(self.requests.labels)
        self._seconds_of = lru_cache(maxsize=None)(self.seconds.labels)

    def count_request(self, route: str, method: str, status: int, *, seconds: float) -> None:
        """Count and time one request.

        Args:
            route: the pattern of its route, or "other"; never a path, of which a client can make as many as it likes.
            method: GET, HEAD, POST or "other".
            status: of the answer.
            seconds: from the request's head to the end of its answer.
        """
        self._requests_of(route, method, status).inc()
        self._seconds_of(route).observe(seconds)

    def count_refused(self) -> None:
        """Count a request that was refused before anything was known of it: it has no route and took no time."""
        self.shed.inc()
        self._requests_of("other", "other", 429).inc()

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._told)


class _AllWorkers(Collector):
    """What the files in a folder add up to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        files = [str(path) for path in self._folder.glob("*.db") if _is_begun(path)]
        merged: Iterable[Metric] = multiprocess.MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


def _is_begun(path: Path) -> bool:
    """Whether there is something in a file: not in one that is being made, or removed by `forget_gauges`, just now."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
