"""Processes that serve one service together, where no parent of ours holds them: what one of them asks of all."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector


class Siblings(Protocol):
    """All of them, the one that asks too."""

    async def reload(self) -> None:
        """Have each read the models folder again."""

    async def metrics(self) -> bytes:
        """What each has counted, in one text."""


def merge(texts: Mapping[str, bytes]) -> bytes:
    """Several processes' metrics as one text, in which each sample has a label `replica`.

    Args:
        texts: Prometheus' text format, by the process's name.
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
