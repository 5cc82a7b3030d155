"""Values that are counted together give the same sums as one by one, and all times are observed."""

import asyncio
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from app.inference.engine import Engine
from app.telemetry.families import BatchHistogram
from app.telemetry.metrics import Metrics
from tests.app.middleware.test_access_log import play


def told(metrics: Metrics) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in metrics.text().decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def test_many_values_at_once() -> None:
    """The buckets are those of Prometheus' own histogram, also for values on a bound and beyond the last one."""
    rng = np.random.default_rng(3)
    bounds = (0.1, 0.25, 1.0, 10.0)
    values = [*bounds, 0.0, 11.0, *rng.exponential(1, 500).tolist()]
    texts = []
    for kind in (Histogram, BatchHistogram):
        registry = CollectorRegistry()
        histogram = kind("h", "h", registry=registry, buckets=bounds)
        if isinstance(histogram, BatchHistogram):
            histogram.observe_all(values[:7])
            histogram.observe_all(values[7:])
            histogram.observe_all([])
        else:
            for value in values:
                histogram.observe(value)
        lines = generate_latest(registry).decode().splitlines()
        texts.append(
            {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith(("h_b", "h_c", "h_s"))}
        )
    assert texts[0].pop("h_sum") == pytest.approx(texts[1].pop("h_sum"))
    assert [value for name, value in texts[0].items() if name != "h_created"] == [
        value for name, value in texts[1].items() if name != "h_created"
    ]


def test_requests_are_settled_soon() -> None:
    metrics = Metrics()

    async def count() -> None:
        for status in (200, 200, 404):
            metrics.count_request("/r", "GET", status, seconds=0.5)
        metrics.count_encoding("png", started=0.0)
        right = 'gan_http_requests_total{method="GET",route="/r",status="200"}'
        assert told(metrics)[right] == 0
        async with asyncio.timeout(60):
            while told(metrics)[right] == 0:
                await asyncio.sleep(0)

    asyncio.run(count())
    found = told(metrics)
    assert found['gan_http_requests_total{method="GET",route="/r",status="200"}'] == 2
    assert found['gan_http_requests_total{method="GET",route="/r",status="404"}'] == 1
    assert found['gan_http_request_seconds_count{route="/r"}'] == 3
    assert found['gan_http_request_seconds_sum{route="/r"}'] == 1.5
    assert found['gan_encode_seconds_count{format="png"}'] == 1


@pytest.mark.parametrize("form", ["png", "json"])
def test_an_answer_counts_as_what_it_is_made_of(form: str) -> None:
    one, other = Metrics(), Metrics()

    async def count() -> None:
        one.count_samples("/r", "m", 64, form, came=0.0, started=1.0, encoded=3.0)
        other.count_request("/r", "GET", 200, seconds=9.0)
        other.count_images("m", 64)
        other.count_encoding(form, started=0.0)

    asyncio.run(count())
    one.settle()
    other.settle()
    seen, right = (
        {name: value for name, value in told(m).items() if name.startswith("gan_") and "created" not in name}
        for m in (one, other)
    )
    timed = {name for name in right if name.startswith(("gan_encode_seconds_", "gan_http_request_seconds_"))}
    assert seen.keys() == right.keys()
    assert {name: seen[name] for name in seen if name not in timed} == {
        name: right[name] for name in right if name not in timed
    }
    assert seen['gan_images_generated_total{model="m"}'] == 64
    assert seen[f'gan_encode_seconds_sum{{format="{form}"}}'] == 2.0
    assert seen[f'gan_encode_seconds_count{{format="{form}"}}'] == 1
    assert seen['gan_http_request_seconds_count{route="/r"}'] == 1


def test_each_job_waits_once_and_each_call_is_timed() -> None:
    metrics = Metrics()
    engine = Engine(max_queue_rows=1000, metrics=metrics)

    def doubled(rows: np.ndarray) -> np.ndarray:
        return rows * 2

    async def run() -> None:
        engine.start()
        sizes = (1, 2, 150)
        await asyncio.gather(*(engine.run(doubled, np.ones((n, 1))) for n in sizes))
        await asyncio.to_thread(engine.stop)

    asyncio.run(run())
    assert told(metrics)["gan_engine_queue_seconds_count"] == 0
    metrics.settle()
    found = told(metrics)
    assert found["gan_engine_queue_seconds_count"] == 3  # the last job is in several calls
    assert found["gan_engine_call_seconds_count"] == found["gan_engine_batch_rows_count"] >= 3
    assert found["gan_engine_batch_rows_sum"] == 153
    assert 0 < found["gan_engine_queue_seconds_sum"] < 3 * 60


def test_encodings_are_timed_by_format(models_dir: Path) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for form in ("png", "json", "npz"):
            await client.get(f"/v1/samples?n=2&seed=1&format={form}")
        for form in ("png", "json", "gif", "webp"):
            await client.get(f"/v1/interpolations?seeds=1,2&steps=2&format={form}")
        lines = (await client.get("/metrics")).text.splitlines()
        counts = [line.removeprefix("gan_encode_seconds_count") for line in lines if "encode_seconds_count" in line]
        assert counts == ['{format="png"} 2.0', '{format="json"} 2.0', '{format="gif"} 1.0', '{format="webp"} 1.0']
        assert 'gan_requests_shed_total{cause="images"} 0.0' in lines
        assert 'gan_requests_shed_total{cause="projections"} 0.0' in lines

    play(models_dir, scenario)
