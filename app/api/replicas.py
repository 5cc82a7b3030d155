"""Replicas: the processes that together form one service under Ray Serve (`app.ray`).

A replica that is asked for `/metrics` or `/admin/reload` answers for all of them, through `Replicas`. The workers that
`app.server.supervisor` starts are not replicas: they share files and signals instead (`app.telemetry.worker_files`).
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector


class Replicas(Protocol):
    """All replicas of the service, including the one that asks."""

    async def reload(self) -> None:
        """Make each replica read the models folder again."""

    async def metrics(self) -> bytes:
        """Return the metrics of all replicas in Prometheus' text format, merged by `merge`."""


def merge(texts: Mapping[str, bytes]) -> bytes:
    """Merge the metrics of several replicas into one text, in which each sample has the label `replica`.

    Args:
        texts: the metrics of each replica in Prometheus' text format, by the replica's name.
    """
    registry = CollectorRegistry()
    registry.register(_Merged(texts))
    return generate_latest(registry)


class _Merged(Collector):
    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = texts

    def collect(self) -> Iterable[Metric]:
        found: dict[str, Metric] = {}
        for name, text in sorted(self._texts.items()):
            for family in text_string_to_metric_families(text.decode()):
                merged = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    merged.add_sample(sample.name, {**sample.labels, "replica": name}, sample.value)
        return found.values()
