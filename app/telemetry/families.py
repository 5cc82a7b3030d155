"""The metrics of the service by subject: their names, help texts, labels and buckets.

Each function makes the metrics of one subject in a registry. `/metrics` shows metrics in the order in which they were
made.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SHED_CAUSES = ("requests", "images", "projections", "bodies")
"""What there was too much of when a request was refused."""

FALLBACK_REASONS = ("pipelined", "slow_reader", "body", "key", "problem", "large", "queue", "fault")
"""Why a request for samples left the fast path: the values of `app.server.fast_path.Fallback`."""

ENCODED_FORMATS = ("png", "json", "gif", "webp")
"""Answers that are encoded whole before they are sent; archives are encoded while they are sent."""

_QUICK_S = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class BatchHistogram(Histogram):
    """A histogram that takes many values at once: one lock for each bucket that is hit, not two for each value."""

    def observe_all(self, values: Sequence[float]) -> None:
        """Observe each value."""
        self._sum.inc(sum(values))
        for place, count in Tally(bisect_left(self._upper_bounds, value) for value in values).items():
            self._buckets[place].inc(count)


def of_requests(registry: CollectorRegistry) -> tuple[Counter, BatchHistogram]:
    """How many requests there were, and how long they took."""
    requests = Counter(
        "gan_http_requests",
        "Requests by route, method and status",
        ["route", "method", "status"],
        registry=registry,
    )
    seconds = BatchHistogram(
        "gan_http_request_seconds",
        "Seconds from a request's head to the end of its answer",
        ["route"],
        registry=registry,
        buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    )
    return requests, seconds


def of_network_calls(registry: CollectorRegistry) -> tuple[BatchHistogram, BatchHistogram, BatchHistogram]:
    """The rows of the engine's calls, how long jobs waited for them, and how long they took."""
    batch_rows = BatchHistogram(
        "gan_engine_batch_rows",
        "Rows of one call of a network",
        registry=registry,
        buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096),
    )
    queue_seconds = BatchHistogram(
        "gan_engine_queue_seconds",
        "Seconds that a job waits for its first call of a network",
        registry=registry,
        buckets=_QUICK_S,
    )
    call_seconds = BatchHistogram(
        "gan_engine_call_seconds", "Seconds of one call of a network", registry=registry, buckets=_QUICK_S
    )
    return batch_rows, queue_seconds, call_seconds


def of_encoding(registry: CollectorRegistry) -> BatchHistogram:
    """How long the encoding of answers took."""
    return BatchHistogram(
        "gan_encode_seconds",
        "Seconds in which an answer's pictures or JSON are encoded",
        ["format"],
        registry=registry,
        buckets=_QUICK_S,
    )


def of_load(registry: CollectorRegistry) -> tuple[Gauge, Gauge]:
    """The rows that wait for the engine now, and the requests under way."""
    waiting_rows = Gauge(
        "gan_engine_waiting_rows",
        "Rows in the engine's queue",
        registry=registry,
        multiprocess_mode="livesum",
    )
    in_progress = Gauge(
        "gan_requests_in_progress",
        "Requests under way, those of slow clients too, at most a second ago",
        registry=registry,
        multiprocess_mode="livesum",
    )
    return waiting_rows, in_progress


def of_images(registry: CollectorRegistry) -> tuple[Counter, Counter]:
    """How many images each model has generated, and has scored."""
    generated = Counter("gan_images_generated", "Images generated", ["model"], registry=registry)
    scored = Counter("gan_images_scored", "Images scored", ["model"], registry=registry)
    return generated, scored


def of_projections(registry: CollectorRegistry) -> tuple[Counter, Histogram, Gauge]:
    """How many projections each model has made, how long they took, and how many wait now."""
    projections = Counter("gan_projections", "Projections made", ["model"], registry=registry)
    seconds = Histogram(
        "gan_projection_seconds",
        "Seconds of one projection, its wait not counted",
        ["model"],
        registry=registry,
        buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
    )
    waiting = Gauge(
        "gan_waiting_projections",
        "Projections that wait for the one that runs",
        registry=registry,
        multiprocess_mode="livesum",
    )
    return projections, seconds, waiting


def of_shedding(registry: CollectorRegistry) -> Counter:
    """How many requests were refused under overload. Every cause is shown from the start, so that its first one shows
    as a change."""
    shed = Counter(
        "gan_requests_shed",
        "Requests refused because as many waited as may, by what waited",
        ["cause"],
        registry=registry,
    )
    for cause in SHED_CAUSES:
        shed.labels(cause)
    return shed


def of_fast_path(registry: CollectorRegistry) -> Counter:
    """How many requests for samples left the fast path. Every reason is shown from the start, as with `of_shedding`."""
    fallbacks = Counter(
        "gan_fast_path_fallbacks",
        "GET requests for samples that went the ordinary way, by the reason",
        ["reason"],
        registry=registry,
    )
    for reason in FALLBACK_REASONS:
        fallbacks.labels(reason)
    return fallbacks


def of_models(registry: CollectorRegistry) -> Gauge:
    """Which models are usable."""
    return Gauge(
        "gan_model_info",
        "1 for each usable model",
        ["model"],
        registry=registry,
        multiprocess_mode="livemax",
    )
