"""Faults of the engine in a real service: who waits is told at once, and the service comes back or ends."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness.repository import ROOT
from harness.service import Service, running
from harness.tiny_models import make_tiny_model_folder
from tests.app.checks import assert_problem, drawn_seven

SABOTAGE = """
import sys, time
from pathlib import Path

sys.path.insert(0, {root!r})
from models.inference import sampler

orders, call = Path({orders!r}), sampler.Sampler.__call__

def sabotaged(self, latents):
    if len(latents) % 64 == 13:  # only what the test asks for
        order = orders.read_text() if orders.exists() else ""
        if order == "hang":
            orders.unlink()
            time.sleep(1000)
        if order == "die":
            raise SystemExit("sabotage")
        if order == "no memory":
            raise MemoryError
    return call(self, latents)

sampler.Sampler.__call__ = sabotaged
"""
ENGINE_TIMEOUT_S = 3
"""Long enough that a test asks a few more things while a call hangs, on a busy machine, too."""

DRAW = {"n": 13, "seed": 1, "truncation": 0.5}


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """A file: what is written there is done to the services that the test starts."""
    (tmp_path / "code").mkdir()
    code = SABOTAGE.format(root=str(ROOT), orders=str(tmp_path / "orders"))
    (tmp_path / "code" / "sitecustomize.py").write_text(code)
    make_tiny_model_folder(tmp_path / "models" / "tiny")
    return tmp_path / "orders"


@pytest.fixture
def service(orders: Path, tmp_path: Path) -> Iterator[Service]:
    with running(
        tmp_path, models_dir=tmp_path / "models", engine_timeout_s=ENGINE_TIMEOUT_S, python_path=tmp_path / "code"
    ) as started:
        yield started


def test_a_thread_that_dies_begins_anew(service: Service, orders: Path) -> None:
    for _ in range(3):
        orders.write_text("die")
        failed = service.client.get("/v1/samples", params=DRAW)
        assert_problem(failed, 503, text="the engine does not answer")
        assert failed.headers["retry-after"] == "1"
        orders.unlink()
        assert service.client.get("/readyz").json()["ready"]
        assert service.client.get("/v1/samples", params=DRAW).status_code == 200
    assert "SystemExit: sabotage" in service.log.read_text()


def test_without_memory_who_asked_is_told(service: Service, orders: Path) -> None:
    orders.write_text("no memory")
    assert_problem(service.client.get("/v1/samples", params=DRAW), 503, text="no memory for 13 images")
    assert service.client.get("/v1/samples", params=DRAW | {"n": 4}).status_code == 200
    assert service.client.get("/readyz").json()["ready"]


def test_a_thread_that_hangs_ends_the_process(service: Service, orders: Path) -> None:
    orders.write_text("hang")
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(httpx.get, f"{service.url}/v1/samples", params=DRAW, timeout=60)
        while orders.exists():
            time.sleep(0.01)
        waiting = pool.submit(httpx.get, f"{service.url}/v1/samples", params={"n": 1}, timeout=60)
        assert service.client.get("/healthz").status_code == 200
        for asked in (hanging, waiting):
            assert_problem(asked.result(), 503, text="the engine does not answer")
    assert service.process.wait(timeout=120) != 0
    assert f"has not ended within {ENGINE_TIMEOUT_S} s" in service.log.read_text()


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced(orders: Path, tmp_path: Path) -> None:
    with running(
        tmp_path,
        models_dir=tmp_path / "models",
        engine_timeout_s=ENGINE_TIMEOUT_S,
        workers=2,
        python_path=tmp_path / "code",
    ) as service:
        orders.write_text("hang")
        assert httpx.get(f"{service.url}/v1/samples", params=DRAW, timeout=60).status_code == 503
        deadline = time.monotonic() + 60
        while "another takes its place" not in service.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(20):  # a connection each: whichever worker has it
            assert httpx.get(f"{service.url}/v1/samples", params=DRAW, timeout=60).status_code == 200


HANGING_PROJECTIONS = """
import time

from app.inference import projection_queue
from models.inference import projection

projection_queue.DEADLINE_S = 2.0
projection.Projector.__call__ = lambda self, image: time.sleep(1000)
projection.prepare = lambda: None
"""


@pytest.mark.slow
def test_a_projection_that_hangs_ends_the_process(orders: Path, tmp_path: Path) -> None:
    """And its end does not wait for the thread."""
    with (tmp_path / "code" / "sitecustomize.py").open("a") as code:
        code.write(HANGING_PROJECTIONS)
    with running(tmp_path, models_dir=tmp_path / "models", python_path=tmp_path / "code") as service:
        told = httpx.post(f"{service.url}/v1/projections", files={"file": drawn_seven()}, timeout=60)
        assert_problem(told, 503, text="the projection has not ended within 2 s")
        assert service.process.wait(timeout=60) == -signal.SIGTERM
        assert "a call has not ended within 2 s" in service.log.read_text()
