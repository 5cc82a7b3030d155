"""Metrics of several replicas are merged into one text: no sample is lost, and each names its replica."""

from prometheus_client.parser import text_string_to_metric_families

from app.api.replicas import merge
from app.telemetry.metrics import Metrics


def counted(images: int) -> bytes:
    metrics = Metrics()
    metrics.images.labels("a@1").inc(images)
    metrics.batch_rows.observe(images)
    metrics.waiting_rows.set(images)
    return metrics.text()


def test_each_sample_says_whose_it_is() -> None:
    texts = {"one": counted(3), "two": counted(40)}
    families = {family.name: family for family in text_string_to_metric_families(merge(texts).decode())}
    alone = {family.name: family for family in text_string_to_metric_families(texts["one"].decode())}
    assert families.keys() == alone.keys()
    for name, family in families.items():
        assert (family.type, family.documentation) == (alone[name].type, alone[name].documentation)
        assert len(family.samples) == 2 * len(alone[name].samples)
    made = {
        sample.labels["replica"]: sample.value
        for sample in families["gan_images_generated"].samples
        if sample.name.endswith("_total")
    }
    assert made == {"one": 3, "two": 40}
    assert sum(
        sample.value for sample in families["gan_engine_batch_rows"].samples if sample.name.endswith("_sum")
    ) == sum(sample.value for sample in families["gan_engine_waiting_rows"].samples)


def test_of_one_process() -> None:
    lines = merge({"one": counted(3)}).decode().splitlines()
    assert 'gan_images_generated_total{model="a@1",replica="one"} 3.0' in lines
