"""Counters and histograms for Prometheus, in a registry of their own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What the service counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
        self.waiting_rows = Gauge("gan_engine_waiting_rows", "Rows in the engine's queue", registry=self.registry)
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
            "gan_waiting_projections", "Projections that wait for the one that runs", registry=self.registry
        )
        self.shed = Counter("gan_requests_shed", "Requests refused because the queue was full", registry=self.registry)
        self.models = Gauge("gan_model_info", "1 for each usable model", ["model"], registry=self.registry)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)
