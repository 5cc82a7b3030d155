"""Short versions of the trials of the service: what they count has to be right; how long it took decides nothing."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.repository import ROOT
from harness.service import Service, running
from harness.tiny_models import make_tiny_model_folder
from reliability.faults import SABOTAGE, break_once
from reliability.load.flood import closed_loop, open_loop
from reliability.load.probes import Probes
from reliability.overload import back_after_s
from reliability.slow_clients import SlowClientKind, SlowClients

TARGET = "/v1/samples?n=1&format=png&seed=SEED"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    make_tiny_model_folder(tmp_path / "models" / "mnist-conv")
    return tmp_path / "models"


@pytest.fixture
def service(tmp_path: Path, models: Path) -> Iterator[Service]:
    with running(tmp_path, models_dir=models, max_requests=8, shutdown_grace_s=1) as started:
        yield started


def port_of(service: Service) -> int:
    return int(service.url.rpartition(":")[2])


@pytest.mark.slow
def test_a_flood_is_answered_or_refused(service: Service) -> None:
    with Probes(port_of(service)) as probes:
        flood = open_loop(port_of(service), TARGET, rate=20_000, seconds=1, connections=200)
        fresh = open_loop(port_of(service), TARGET, rate=2_000, seconds=0.5, connections=100, fresh=True)
    for outcome in (flood, fresh):
        assert outcome.answers[200] > 0
        assert outcome.others() == outcome.broken == outcome.refused == outcome.missing == 0
        assert outcome.sent == outcome.answers.total()
        assert len(outcome.accepted_ms) == outcome.answers[200]
    assert flood.retry_after > 0
    assert all(status == 200 for probe in probes.all for *_, status in probe.seen)
    after = closed_loop(port_of(service), TARGET, seconds=0.5, connections=4)
    assert after.answers.keys() == {200}
    assert back_after_s(after, after) == 0


@pytest.mark.slow
def test_sigterm_under_load_fails_no_request(service: Service) -> None:
    with ThreadPoolExecutor() as pool, Probes(port_of(service)) as probes:
        load = pool.submit(closed_loop, port_of(service), TARGET, seconds=60, connections=4)
        while not all(probe.seen for probe in probes.all):
            time.sleep(0.01)
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(timeout=60)
        outcome = load.result()
    assert outcome.answers.keys() == {200}
    assert outcome.broken == outcome.missing == 0
    assert any(status == 503 for probe in probes.all for *_, status in probe.seen)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["die", "no memory", "no CUDA memory"])
def test_faults_are_told_and_got_over(fault: str, tmp_path: Path, models: Path) -> None:
    (tmp_path / "code").mkdir()
    orders = tmp_path / "orders"
    (tmp_path / "code" / "sitecustomize.py").write_text(SABOTAGE.format(root=str(ROOT), orders=str(orders)))
    with running(tmp_path, models_dir=models, python_path=tmp_path / "code") as started:
        assert [break_once(port_of(started), orders, fault, 1)[2] for _ in range(2)] == ["", ""]


def test_slow_clients_are_seen_to_end(service: Service) -> None:
    slow = SlowClients(port_of(service), SlowClientKind("idle", 20, b"", trickles=False, limit_s=0))
    assert slow.wait(0) == []
    again = SlowClients(port_of(service), SlowClientKind("gone", 20, b"no HTTP\r\n\r\n", trickles=False, limit_s=0))
    assert len(again.wait(60)) == 20
