"""The metrics of the service by subject: their names, help texts, labels and buckets.

Each function makes the metrics of one subject in a registry. `/metrics` shows metrics in the order in which they were
made.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SHED_CAUSES = ("requests", "images", "projections", "bodies")
"""The causes for which requests are refused under overload: too many of these wait or are under way."""

FALLBACK_REASONS = ("pipelined", "slow_reader", "body", "key", "problem", "large", "queue", "fault")
"""The reasons for which requests left the fast path: the values of `app.server.fast_path.Fallback`."""

ENCODED_FORMATS = ("png", "json", "gif", "webp")
"""Formats of answers that are encoded whole before they are sent. Archives are encoded while they are sent."""

_QUICK_S = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class BatchHistogram(Histogram):
    """A histogram that takes many values at once, with one lock for each bucket that is hit, not two for each value."""

    def observe_all(self, values: Sequence[float]) -> None:
        """Add each value to the histogram."""
        self._sum.inc(sum(values))
        for place, count in Tally(bisect_left(self._upper_bounds, value) for value in values).items():
            self._buckets[place].inc(count)


def of_requests(registry: CollectorRegistry) -> tuple[Counter, BatchHistogram]:
    """Make the metrics of requests: how many there were, and how long they took."""
    requests = Counter(
        "gan_http_requests",
        "Requests that have ended, by route, method and status (499: the client had gone)",
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
    """Make the metrics of the engine's calls: their rows, how long jobs waited for them, and how long they took."""
    batch_rows = BatchHistogram(
        "gan_engine_batch_rows",
        "Rows (images) in one call of a network",
        registry=registry,
        buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096),
    )
    queue_seconds = BatchHistogram(
        "gan_engine_queue_seconds",
        "Seconds that a job waited for its first call of a network",
        registry=registry,
        buckets=_QUICK_S,
    )
    call_seconds = BatchHistogram(
        "gan_engine_call_seconds", "Seconds that one call of a network took", registry=registry, buckets=_QUICK_S
    )
    return batch_rows, queue_seconds, call_seconds


def of_encoding(registry: CollectorRegistry) -> BatchHistogram:
    """Make the metric of encoding: how long the encoding of answers took."""
    return BatchHistogram(
        "gan_encode_seconds",
        "Seconds that the encoding of an answer's pictures or JSON took",
        ["format"],
        registry=registry,
        buckets=_QUICK_S,
    )


def of_load(registry: CollectorRegistry) -> tuple[Gauge, Gauge]:
    """Make the metrics of load: how many rows wait for the engine now, and how many requests are under way."""
    waiting_rows = Gauge(
        "gan_engine_waiting_rows",
        "Rows (images) that wait in the engine's queue now",
        registry=registry,
        multiprocess_mode="livesum",
    )
    in_progress = Gauge(
        "gan_requests_in_progress",
        "Requests under way, including those of slow clients; updated once a second",
        registry=registry,
        multiprocess_mode="livesum",
    )
    return waiting_rows, in_progress


def of_images(registry: CollectorRegistry) -> tuple[Counter, Counter]:
    """Make the metrics of images: how many each model has generated, and how many it has scored."""
    generated = Counter("gan_images_generated", "Images that each model has generated", ["model"], registry=registry)
    scored = Counter("gan_images_scored", "Images that each model has scored", ["model"], registry=registry)
    return generated, scored


def of_projections(registry: CollectorRegistry) -> tuple[Counter, Histogram, Gauge]:
    """Make the metrics of projections: how many each model has made, how long they took, and how many wait now."""
    projections = Counter("gan_projections", "Projections that each model has made", ["model"], registry=registry)
    seconds = Histogram(
        "gan_projection_seconds",
        "Seconds that one projection took, without its wait",
        ["model"],
        registry=registry,
        buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
    )
    waiting = Gauge(
        "gan_waiting_projections",
        "Projections that wait now; the one that runs is not counted",
        registry=registry,
        multiprocess_mode="livesum",
    )
    return projections, seconds, waiting


def of_shedding(registry: CollectorRegistry) -> Counter:
    """Make the metric of requests that were refused under overload.

    Every cause is shown from the start, so that its first request shows as a change.
    """
    shed = Counter(
        "gan_requests_shed",
        "Requests refused with 429, by what there was too much of",
        ["cause"],
        registry=registry,
    )
    for cause in SHED_CAUSES:
        shed.labels(cause)
    return shed


def of_fast_path(registry: CollectorRegistry) -> Counter:
    """Make the metric of requests that left the fast path. Every reason is shown from the start, see `of_shedding`."""
    fallbacks = Counter(
        "gan_fast_path_fallbacks",
        "GET /v1/samples requests that took the ordinary path and not the fast path, by reason",
        ["reason"],
        registry=registry,
    )
    for reason in FALLBACK_REASONS:
        fallbacks.labels(reason)
    return fallbacks


def of_models(registry: CollectorRegistry) -> Gauge:
    """Make the metric that names the usable models."""
    return Gauge(
        "gan_model_info",
        "1 for each usable model, with the arithmetic of its G: int8 (whole numbers of 8 bits) or float32",
        ["model", "arithmetic"],
        registry=registry,
        multiprocess_mode="livemax",
    )


def of_build(registry: CollectorRegistry) -> Gauge:
    """Make the gauge that shows which versions of the service, of Python and of torch are running."""
    return Gauge(
        "gan_build_info",
        "1, with the versions of the service, of Python and of torch as labels",
        ["version", "python", "torch"],
        registry=registry,
        multiprocess_mode="livemax",
    )
