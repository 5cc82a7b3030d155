"""Counters and histograms for Prometheus, in a registry of their own; those of several processes in common files.

What each request counts is kept in plain lists for `SETTLE_S`, or until this process is asked: Prometheus' own classes
take a lock or two for every number, and the requests of that time share them.
"""

import asyncio
import os
import time
from bisect import bisect_left
from collections import Counter as Tally
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
    multiprocess,
    values,
)
from prometheus_client.registry import Collector
from starlette.types import Scope

from app.telemetry.request_ids import current

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SETTLE_S = 0.1
"""Seconds after which the other workers can tell what a request has counted."""

SHED_CAUSES = ("requests", "images", "projections", "bodies")
"""Of which there was too much, when a request was refused."""

ENCODED_FORMATS = ("png", "json", "gif", "webp")
"""Answers that are made whole before they are sent; archives are made as they are sent."""

_PID = ".pid"  # of a file that holds a worker's process
_QUICK_S = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def count_in_files(folder: Path, *, worker: int) -> None:
    """Keep the metrics that are made from now on in files of `folder`, mapped into memory.

    A worker's files go on where they were when another process takes its number: a counter never falls.

    Args:
        folder: common to all workers.
        worker: a number that no other living process has.
    """
    (folder / f"{worker}{_PID}").write_text(str(os.getpid()))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: worker)  # type: ignore[no-untyped-call]


def forget_gauges(folder: Path, *, worker: int) -> None:
    """Drop what a process that has ended left behind in its gauges: nothing waits there any more."""
    (folder / f"{worker}{_PID}").unlink(missing_ok=True)
    multiprocess.mark_process_dead(worker, str(folder))  # type: ignore[no-untyped-call]


class _Histogram(Histogram):
    """Prometheus' own, that takes many values at once: a lock for each bucket that is hit, not two for each value."""

    def observe_all(self, values: Sequence[float]) -> None:
        """Observe each value."""
        self._sum.inc(sum(values))
        for place, count in Tally(bisect_left(self._upper_bounds, value) for value in values).items():
            self._buckets[place].inc(count)


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
        else:
            ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "gan_http_requests",
            "Requests by route, method and status",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.seconds = _Histogram(
            "gan_http_request_seconds",
            "Seconds from a request's head to the end of its answer",
            ["route"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self.batch_rows = _Histogram(
            "gan_engine_batch_rows",
            "Rows of one call of a network",
            registry=self.registry,
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096),
        )
        self.queue_seconds = _Histogram(
            "gan_engine_queue_seconds",
            "Seconds that a job waits for its first call of a network",
            registry=self.registry,
            buckets=_QUICK_S,
        )
        self.call_seconds = _Histogram(
            "gan_engine_call_seconds", "Seconds of one call of a network", registry=self.registry, buckets=_QUICK_S
        )
        self.encode_seconds = _Histogram(
            "gan_encode_seconds",
            "Seconds in which an answer's pictures or JSON are encoded",
            ["format"],
            registry=self.registry,
            buckets=_QUICK_S,
        )
        self.waiting_rows = Gauge(
            "gan_engine_waiting_rows",
            "Rows in the engine's queue",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.in_progress = Gauge(
            "gan_requests_in_progress",
            "Requests under way, those of slow clients too, at most a second ago",
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
        self.shed = Counter(
            "gan_requests_shed",
            "Requests refused because as many waited as may, by what waited",
            ["cause"],
            registry=self.registry,
        )
        self.fallbacks = Counter(
            "gan_fast_path_fallbacks",
            "GET requests for samples that went the ordinary way, by the reason",
            ["reason"],
            registry=self.registry,
        )
        self.models = Gauge(
            "gan_model_info",
            "1 for each usable model",
            ["model"],
            registry=self.registry,
            multiprocess_mode="livemax",
        )

        # `labels` looks a child up under a lock, after a check of its arguments: several times as slowly as this.
        self._images_of = lru_cache(maxsize=None)(self.images.labels)
        self._requests_of = lru_cache(maxsize=None)(self.requests.labels)
        self._fallbacks_of = lru_cache(maxsize=None)(self.fallbacks.labels)
        self._seconds_of = lru_cache(maxsize=None)(self.seconds.labels)
        self._encode_seconds_of = {form: self.encode_seconds.labels(form) for form in ENCODED_FORMATS}
        for cause in SHED_CAUSES:  # told from the start, so that the first one is seen as a change
            self.shed.labels(cause)
        self._counts: dict[Counter, int] = {}
        self._values: dict[_Histogram, list[float]] = {}
        self._seen_aside: deque[tuple[_Histogram, Sequence[float]]] = deque()

    def count_request(self, route: str, method: str, status: int, *, seconds: float) -> None:
        """Count and time one request.

        Args:
            route: the pattern of its route, or "other"; never a path, of which a client can make as many as it likes.
            method: GET, HEAD, POST or "other".
            status: of the answer.
            seconds: from the request's head to the end of its answer.
        """
        self._observe_soon(self._seconds_of(route), seconds)
        self._count_soon(self._requests_of(route, method, status), 1)

    def count_images(self, model: str, images: int) -> None:
        """Count images that a model has generated."""
        self._count_soon(self._images_of(model), images)

    def count_encoding(self, form: str, *, started: float) -> None:
        """Time the encoding of an answer that ends now.

        Args:
            form: one of `ENCODED_FORMATS`.
            started: when it began, by `time.perf_counter`.
        """
        ended = time.perf_counter()
        self._observe_soon(self._encode_seconds_of[form], ended - started)
        if (request := current.get()) is not None:
            request.add_stage("encode", started, ended)

    def count_samples(
        self, route: str, model: str, images: int, form: str, *, came: float, started: float, encoded: float
    ) -> None:
        """Count all of an answer to a GET that has just been sent, in one go.

        Args:
            route: as above.
            model: whose images it has.
            images: how many.
            form: one of `ENCODED_FORMATS`.
            came: when the request did, by `time.perf_counter`.
            started: when its encoding began.
            encoded: when that ended.
        """
        self._settle_soon()
        values, counts = self._values, self._counts
        values.setdefault(self._seconds_of(route), []).append(time.perf_counter() - came)
        values.setdefault(self._encode_seconds_of[form], []).append(encoded - started)
        requests, drawn = self._requests_of(route, "GET", 200), self._images_of(model)
        counts[requests] = counts.get(requests, 0) + 1
        counts[drawn] = counts.get(drawn, 0) + images

    def count_fallback(self, reason: str) -> None:
        """Count a request for samples that left the fast path (`app.server.fast_path.Fallback`)."""
        self._count_soon(self._fallbacks_of(reason), 1)

    def observe_aside(self, histogram: _Histogram, observed: Sequence[float]) -> None:
        """Observe values from another thread; they are settled with what the thread that counts counts next."""
        self._seen_aside.append((histogram, observed))

    def _observe_soon(self, histogram: _Histogram, value: float) -> None:
        self._settle_soon()
        self._values.setdefault(histogram, []).append(value)

    def _count_soon(self, counter: Counter, count: int) -> None:
        self._settle_soon()
        self._counts[counter] = self._counts.get(counter, 0) + count

    def _settle_soon(self) -> None:
        if not self._values and not self._counts:
            asyncio.get_running_loop().call_later(SETTLE_S, self.settle)

    def settle(self) -> None:
        """Hand on what has been counted since the last time; for the thread that counts."""
        values, self._values = self._values, {}
        while self._seen_aside:
            histogram, seen = self._seen_aside.popleft()
            values.setdefault(histogram, []).extend(seen)
        counts, self._counts = self._counts, {}
        for histogram, observed in values.items():
            histogram.observe_all(observed)
        for counter, count in counts.items():
            counter.inc(count)

    def count_refused(self) -> None:
        """Count a request that was refused before anything was known of it: it has no route and took no time."""
        self.shed.labels("requests").inc()
        self._requests_of("other", "other", 429).inc()

    def text(self) -> bytes:
        """All of it that has been settled, in Prometheus' text format."""
        return generate_latest(self._told)


def method_of(scope: Scope) -> str:
    """The method of a request, as it is counted: a client can make up others."""
    return scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"


class _AllWorkers(Collector):
    """What the files in a folder add up to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        files = [str(path) for path in self._folder.glob("*.db") if _is_begun(path)]
        merged: Iterable[Metric] = multiprocess.MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return [*merged, *self._processes()]

    def _processes(self) -> Iterable[Metric]:
        """Memory, processor and files of each worker, as `ProcessCollector` tells them of one process."""
        found: dict[str, Metric] = {}
        for worker, process in sorted(_pids(self._folder).items()):
            for metric in ProcessCollector(pid=lambda process=process: process, registry=None).collect():  # type: ignore[misc]
                family = found.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    family.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
        return found.values()


def _pids(folder: Path) -> dict[str, int]:
    """The process of each worker."""
    found = {}
    for path in folder.glob(f"*{_PID}"):
        with suppress(OSError, ValueError):  # it is being written or removed just now
            found[path.stem] = int(path.read_text())
    return found


def _is_begun(path: Path) -> bool:
    """Whether there is something in a file: not in one that is being made, or removed by `forget_gauges`, just now."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
