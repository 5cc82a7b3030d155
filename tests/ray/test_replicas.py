"""What is different on Ray: several replicas that are one service, and Serve's proxy in the place of our server."""

import asyncio
import json
import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml
from ray.serve.schema import ServeDeploySchema
from starlette.types import Message, Receive, Scope, Send

import app.ray
from app.inference.jobs import Network, Rows
from app.ray import Door, NotReadyError, Replica
from app.server.admission import Admission
from app.server.uvicorn_server import SECURITY_HEADERS
from app.settings import Settings
from app.telemetry.metrics import Metrics
from benchmarks.services.ray_batch import compute
from harness.pinned_services import PinnedService
from harness.repository import ROOT
from harness.service import Service, running
from harness.tiny_models import make_tiny_model_folder
from reliability.ray_kill import fetch, replicas, trial
from tests.app.checks import assert_problem
from tests.ray.conftest import ADMIN_KEY, REPLICAS

CONFIG = ROOT / "deploy/ray-serve.yaml"
PICTURE = "/v1/samples?seed=7&n=16"


def counts(client: httpx.Client, metric: str) -> Counter[str]:
    """A metric's sum over its other labels, by replica."""
    found: Counter[str] = Counter()
    for line in client.get("/metrics").text.splitlines():
        match = re.fullmatch(rf'{metric}{{.*replica="(\w+)".*}} (\S+)', line)
        if match:
            found[match[1]] += int(float(match[2]))
    return found


def ask_at_once(service: Service, path: str, times: int) -> list[httpx.Response]:
    with ThreadPoolExecutor(8) as pool, httpx.Client(base_url=service.url, timeout=60) as client:
        return list(pool.map(client.get, [path] * times))


def test_all_replicas_answer_and_as_one(service: Service, models_dir: Path, tmp_path: Path) -> None:
    before = counts(service.client, "gan_images_generated_total")
    answers = ask_at_once(service, PICTURE, 64)
    after = counts(service.client, "gan_images_generated_total")
    assert {answer.status_code for answer in answers} == {200}
    assert len(after) == REPLICAS
    assert all(after[replica] > before[replica] for replica in after)
    assert (after - before).total() == 64 * 16
    with running(tmp_path, models_dir=models_dir) as alone:
        expected = alone.client.get(PICTURE)
    assert {answer.content for answer in answers} == {expected.content}
    for name in ("etag", "content-location", "x-model", "x-seed", "cache-control", "content-type"):
        assert {answer.headers[name] for answer in answers} == {expected.headers[name]}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PICTURE, 200),
        ("HEAD", PICTURE, 200),
        ("GET", "/v1/samples?n=0", 422),
        ("GET", "/v1/samples?n=300&seed=7&format=npz", 200),
        ("DELETE", "/v1/models", 405),
        ("GET", "/nothing", 404),
        ("GET", "/", 200),
        ("GET", "/docs", 200),
        ("GET", "/static/icon.svg", 200),
        ("GET", "/healthz", 200),
        ("POST", "/admin/reload", 401),
    ],
)
def test_security_headers(service: Service, method: str, path: str, status: int) -> None:
    answer = service.client.request(method, path)
    assert answer.status_code == status
    for name, value in [*SECURITY_HEADERS, ("x-request-id", answer.headers["x-request-id"])]:
        assert answer.headers.get_list(name) == [value]


def test_the_document_is_the_committed_one(client: httpx.Client) -> None:
    served = client.get("/openapi.json").json()
    committed = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
    assert served["paths"].keys() == committed["paths"].keys()
    assert served["components"] == committed["components"]


def test_a_reload_reaches_all_replicas(service: Service, models_dir: Path) -> None:
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    make_tiny_model_folder(models_dir / "late")
    try:
        told = service.client.post("/admin/reload", headers=admin).json()
        assert [reference.partition("@")[0] for reference in told["added"]] == ["late"]
        statuses = [answer.status_code for answer in ask_at_once(service, "/v1/samples?model=late&n=1", 64)]
        assert statuses == [200] * 64
    finally:
        shutil.rmtree(models_dir / "late")
        service.client.post("/admin/reload", headers=admin)
    assert_problem(service.client.get("/v1/samples?model=late&n=1"), 404)


def test_a_killed_replica_loses_nothing_that_a_retry_does_not_get(service: Service, models_dir: Path) -> None:
    """A short form of `reliability.ray_kill`; the last one here, for a replica is another one after it."""
    port = int(service.url.rpartition(":")[2])
    expected = {seed: fetch(port, "mnist-conv", seed) for seed in range(20)}
    before = replicas(service.process.pid)
    outcome = trial(PinnedService(port, service.process.pid, 0), "mnist-conv", expected, kills=1, clients=4)
    assert len(before) == len(replicas(service.process.pid)) == REPLICAS
    assert before != replicas(service.process.pid)
    assert len(outcome.back_s) == 1
    assert len(outcome.pictures) > 20
    assert not [one for one in outcome.pictures if one.lost or one.wrong]


# --- Without a cluster ------------------------------------------------------------------------------------------------


def test_the_config_file() -> None:
    """By Serve's own schema; and it says the same as `app.ray`, but for what a cluster with GPUs has for itself."""
    config = ServeDeploySchema.model_validate(yaml.safe_load(CONFIG.read_text(encoding="utf-8")))
    (application,) = config.applications
    (deployment,) = application.deployments
    assert application.import_path == "app.ray:app"
    assert deployment.name == app.ray.deployment.name
    assert deployment.max_ongoing_requests == app.ray.MAX_ONGOING_REQUESTS
    assert deployment.max_queued_requests == app.ray.MAX_QUEUED_REQUESTS
    assert deployment.autoscaling_config is not None
    assert 0 < deployment.ray_actor_options.num_gpus < 1
    variables = application.runtime_env["env_vars"]
    known = {f"GAN_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in variables if name.startswith("GAN_")} <= known
    assert int(variables["GAN_MAX_REQUESTS"]) < app.ray.MAX_ONGOING_REQUESTS
    assert Settings.model_fields["max_requests"].default < app.ray.MAX_ONGOING_REQUESTS


def test_the_door_refuses_by_the_contract_and_lets_supervisors_in() -> None:
    metrics = Metrics()
    let_go = asyncio.Event()
    both_are_in = asyncio.Barrier(3)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await both_are_in.wait()
            await let_go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def scenario() -> None:
        transport = httpx.ASGITransport(app=Door(slow, Admission(max_requests=2, metrics=metrics), metrics))
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            waiting = [asyncio.create_task(client.get("/slow")) for _ in range(2)]
            await both_are_in.wait()
            answer = await client.get("/quick")
            assert_problem(answer, 429, text="try again")
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert (await client.get("/readyz")).status_code == 200
            assert b"gan_requests_in_progress 2.0" in metrics.text()
            let_go.set()
            assert [(await one).status_code for one in waiting] == [200, 200]
            assert (await client.get("/quick")).status_code == 200

    asyncio.run(asyncio.wait_for(scenario(), 60))
    assert b'gan_requests_shed_total{cause="requests"} 1.0' in metrics.text()
    assert b"gan_requests_in_progress 0.0" in metrics.text()


def test_a_request_that_fails_gives_its_place_back() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("broken")

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def forget(message: Message) -> None:
        pass

    metrics = Metrics()
    door = Door(broken, Admission(max_requests=1, metrics=metrics), metrics)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            asyncio.run(door({"type": "http", "path": "/", "headers": []}, nothing, forget))


def test_the_other_batching_gives_each_its_own() -> None:
    """Or the benchmark would compare two different things: rows of two networks in one batch."""
    calls: list[int] = []

    def doubled(rows: Rows) -> Rows:
        calls.append(len(rows))
        return rows * 2

    def negated(rows: Rows) -> Rows:
        return -rows

    asked: list[tuple[Network, Rows]] = [
        (network, np.full((n, 2), n)) for n in (1, 3, 5) for network in (doubled, negated)
    ]
    for (network, rows), result in zip(asked, compute(asked), strict=True):
        assert np.array_equal(result, rows * 2 if network is doubled else -rows)
    assert calls == [9]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("GAN_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_replica_is_as_healthy_as_its_service(models: Path) -> None:
    """With a model and an engine it is; without the engine it is not, and one without a model never comes to be."""

    async def scenario() -> None:
        replica = Replica()
        await replica.__serve_build_asgi_app__()
        service = replica._service
        async with service.router.lifespan_context(service):
            with pytest.raises(NotReadyError, match='"models":\\[\\]'):
                await replica.check_health()
            make_tiny_model_folder(models / "mnist-conv")
            await replica.reload_models()
            await replica.check_health()
            service.state.gan.engine.give_up("a test")
            with pytest.raises(NotReadyError, match="stopped"):
                await replica.check_health()

    asyncio.run(scenario())
