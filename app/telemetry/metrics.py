"""Counts requests, images and times for Prometheus.

Counts are first kept in plain dictionaries, for `SETTLE_S` seconds or until `/metrics` asks this process for them, and
then given to Prometheus' own classes. Those take locks for each number; in this way many requests share the cost of a
lock.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest
from starlette.types import Scope

from app.telemetry import families
from app.telemetry.families import ENCODED_FORMATS, BatchHistogram
from app.telemetry.request_ids import current
from app.telemetry.worker_files import AllWorkers

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SETTLE_S = 0.1
"""Seconds after which the counts of a request can be seen by the other workers."""


class Metrics:
    """Counts requests, images, calls and their times, and writes them as text.

    The event loop's thread calls all methods except `observe_from_thread`. Any thread may use the attributes, which are
    Prometheus' own objects (`app.telemetry.families`).

    Args:
        folder: the folder of `worker_files.count_in_files`, to show the counts of all workers; None shows only those of
            this process.
        workers: number of workers whose counts are in the folder.
    """

    def __init__(self, folder: Path | None = None, *, workers: int = 1) -> None:
        self.registry = registry = CollectorRegistry()
        self._exposed = _registry_of_all(folder, workers) if folder is not None else registry
        if folder is None:
            ProcessCollector(registry=registry)

        self.requests, self.seconds = families.of_requests(registry)
        self.batch_rows, self.queue_seconds, self.call_seconds = families.of_network_calls(registry)
        self.encode_seconds = families.of_encoding(registry)
        self.waiting_rows, self.in_progress = families.of_load(registry)
        self.images, self.scored = families.of_images(registry)
        self.projections, self.projection_seconds, self.waiting_projections = families.of_projections(registry)
        self.shed = families.of_shedding(registry)
        self.fallbacks = families.of_fast_path(registry)
        self.models = families.of_models(registry)
        self.build = families.of_build(registry)

        # `labels` checks its arguments and looks a child up under a lock: several times as slowly as these do.
        self._images_of = lru_cache(maxsize=None)(self.images.labels)
        self._requests_of = lru_cache(maxsize=None)(self.requests.labels)
        self._fallbacks_of = lru_cache(maxsize=None)(self.fallbacks.labels)
        self._seconds_of = lru_cache(maxsize=None)(self.seconds.labels)
        self._encode_seconds_of = {form: self.encode_seconds.labels(form) for form in ENCODED_FORMATS}

        # What has been counted since the last `settle`
        self._counts: dict[Counter, int] = {}
        self._values: dict[BatchHistogram, list[float]] = {}
        self._from_threads: deque[tuple[BatchHistogram, Sequence[float]]] = deque()

    def count_request(self, route: str, method: str, status: int, *, seconds: float) -> None:
        """Count and time one request.

        Args:
            route: the pattern of the request's route, or "other". It is never a path: clients could invent any number.
            method: the method, one of GET, HEAD, POST and "other".
            status: the answer's status.
            seconds: the duration from the request's head to the end of its answer.
        """
        self._observe_soon(self._seconds_of(route), seconds)
        self._count_soon(self._requests_of(route, method, status), 1)

    def count_images(self, model: str, images: int) -> None:
        """Count images that the model with this name has generated."""
        self._count_soon(self._images_of(model), images)

    def count_encoding(self, form: str, *, started: float) -> None:
        """Record the duration of the encoding of an answer, which ends now.

        Args:
            form: format of the answer, one of `ENCODED_FORMATS`.
            started: the time when the encoding began, by `time.perf_counter`.
        """
        ended = time.perf_counter()
        self._observe_soon(self._encode_seconds_of[form], ended - started)
        if (request := current.get()) is not None:
            request.add_stage("encode", started, ended)

    def count_samples(
        self, route: str, model: str, images: int, form: str, *, came: float, started: float, encoded: float
    ) -> None:
        """Count a GET that has just been answered with images: the request, its images and its encoding, in one step.

        Args:
            route: the pattern of the request's route, as in `count_request`.
            model: name of the model whose images the answer has.
            images: number of images in the answer.
            form: format of the answer, one of `ENCODED_FORMATS`.
            came: the time when the request came; this and the next two are times of `time.perf_counter`.
            started: the time when the encoding began.
            encoded: the time when the encoding ended.
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

    def observe_from_thread(self, histogram: BatchHistogram, observed: Sequence[float]) -> None:
        """Observe values of a histogram in any thread. The event loop's thread adds them to it in its next `settle`."""
        self._from_threads.append((histogram, observed))

    def _observe_soon(self, histogram: BatchHistogram, value: float) -> None:
        self._settle_soon()
        self._values.setdefault(histogram, []).append(value)

    def _count_soon(self, counter: Counter, count: int) -> None:
        self._settle_soon()
        self._counts[counter] = self._counts.get(counter, 0) + count

    def _settle_soon(self) -> None:
        if not self._values and not self._counts:
            asyncio.get_running_loop().call_later(SETTLE_S, self.settle)

    def settle(self) -> None:
        """Add everything that was counted since the last call to the metrics of Prometheus.

        Only the event loop's thread may call this.
        """
        values, self._values = self._values, {}
        while self._from_threads:
            histogram, seen = self._from_threads.popleft()
            values.setdefault(histogram, []).extend(seen)
        counts, self._counts = self._counts, {}
        for histogram, observed in values.items():
            histogram.observe_all(observed)
        for counter, count in counts.items():
            counter.inc(count)

    def count_refused(self) -> None:
        """Count a request that was refused before it was routed, because too many others are under way."""
        self.shed.labels("requests").inc()
        self.count_unrouted(429)

    def count_unrouted(self, status: int) -> None:
        """Count an answer to a request that was not routed: it has no route, and its time is not observed."""
        self._requests_of("other", "other", status).inc()

    def text(self) -> bytes:
        """Return everything that `settle` has passed on, in Prometheus' text format.

        Raises:
            LostFilesError: a file with the counts of a worker was removed.
        """
        return generate_latest(self._exposed)


def method_of(scope: Scope) -> str:
    """Return a request's method as it is counted. Clients can send any word: all but three count as "other"."""
    return scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"


def _registry_of_all(folder: Path, workers: int) -> CollectorRegistry:
    """Make a registry of the counts of all workers."""
    registry = CollectorRegistry()
    registry.register(AllWorkers(folder, workers=workers))
    return registry
