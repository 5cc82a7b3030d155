"""Health, readiness and metrics, also when models are missing or unusable."""

import threading
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.service import Service, held_requests
from harness.tiny_models import make_tiny_model_folder
from tests.app.checks import assert_problem
from tests.app.server.test_supervisor import wait_until
from tests.permissions import obeying_permissions
from tests.services import running


def test_alive(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}


def test_ready_names_what_is_broken(client: httpx.Client) -> None:
    response = client.get("/readyz")
    answer = response.json()
    assert response.status_code == 200
    assert answer["ready"]
    assert answer["engine"] == "answering"
    assert [model.partition("@")[0] for model in answer["models"]] == ["conv", "digits", "mnist-conv", "rgb", "three"]
    assert set(answer["broken"]) == {"empty", "truncated"}
    assert "model.safetensors is missing" in answer["broken"]["empty"]
    example = client.get("/openapi.json").json()["paths"]["/readyz"]["get"]["responses"]["503"]["content"]
    documented = example["application/json"]["example"]["broken"]["mine"]
    assert documented.replace("mine", "empty") == answer["broken"]["empty"]


def test_broken_folders_are_logged(service: Service) -> None:
    log = service.log.read_text()
    assert "model folder empty is left out" in log
    assert "model folder truncated is left out" in log


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "cannot be read (No such file or directory)"),
        ("a file", "cannot be read (Not a directory)"),
        ("unreadable", "cannot be read (Permission denied)"),
        ("empty", "holds no model folder"),
    ],
)
def test_a_models_folder_without_models_is_told(tmp_path: Path, kind: str, said: str) -> None:
    """The log has one line, with the path; `/readyz` says why to everybody, without the path."""
    folder = tmp_path / "models"
    if kind == "a file":
        folder.write_text("")
    elif kind != "missing":
        folder.mkdir()
    if kind == "unreadable":
        folder.chmod(0o000)
    prefix = obeying_permissions() if kind == "unreadable" else []
    with running(tmp_path, models_dir=folder, prefix=prefix) as service:
        answer = service.client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["models_folder"].startswith(f"GAN_MODELS_DIR {said}")
        assert str(tmp_path) not in answer.text
        assert_problem(service.client.get("/v1/samples"), 503, text="/readyz says why")
        lines = [line for line in service.log.read_text().splitlines() if "GAN_MODELS_DIR" in line]
        assert len(lines) == 1
        assert f"GAN_MODELS_DIR: {folder} {said}" in lines[0]
        assert "Traceback" not in service.log.read_text()


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    models = tmp_path / "models"
    make_tiny_model_folder(models / "mine")
    (models / "gone").symlink_to(tmp_path / "nothing")
    with running(tmp_path, models_dir=models) as service:
        answer = service.client.get("/readyz").json()
        assert (answer["ready"], answer["models_folder"], list(answer["broken"])) == (True, "readable", ["gone"])
        assert "model folder gone is left out" in service.log.read_text()


def test_metrics_are_prometheus_text(service: Service) -> None:
    before = service.metric("gan_images_generated_total")
    service.client.get("/v1/samples?n=5")
    assert service.metric("gan_images_generated_total") == before + 5
    response = service.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    assert {"gan_http_requests", "gan_http_request_seconds", "gan_engine_batch_rows", "gan_engine_waiting_rows"} <= set(
        families
    )
    routes = {
        sample.labels["route"] for sample in families["gan_http_requests"].samples if sample.name.endswith("_total")
    }
    assert "/v1/samples" in routes


def test_requests_under_way_are_told(service: Service) -> None:
    with held_requests(service.url, 3):
        wait_until(lambda: service.metric("gan_requests_in_progress") == 3, "three requests are told")
    wait_until(lambda: service.metric("gan_requests_in_progress") == 0, "none is left")


def test_unknown_paths_share_one_label(service: Service) -> None:
    for k in range(5):
        service.client.get(f"/made-up-{k}")
    assert "made-up" not in service.client.get("/metrics").text


def test_no_usable_model(modelless_service: Service) -> None:
    client = modelless_service.client
    assert client.get("/healthz").status_code == 200
    readiness = client.get("/readyz")
    assert readiness.status_code == 503
    assert not readiness.json()["ready"]
    assert "bad" in readiness.json()["broken"]
    for path in ("/v1/samples", "/v1/models/bad"):
        assert_problem(client.get(path), 503, text="/readyz")
    answer = client.get("/v1/models").json()
    assert answer["default"] is None
    assert [(model["name"], model["ready"]) for model in answer["models"]] == [("bad", False), ("talkative", False)]


def test_missing_models_folder(tmp_path: Path) -> None:
    with running(tmp_path, models_dir=tmp_path / "nowhere") as service:
        assert service.client.get("/readyz").status_code == 503
        assert "GAN_MODELS_DIR" in service.log.read_text()


@pytest.mark.slow
def test_another_default(tmp_path: Path) -> None:
    make_tiny_model_folder(tmp_path / "models" / "b")
    make_tiny_model_folder(tmp_path / "models" / "c")
    with running(tmp_path, models_dir=tmp_path / "models", default_model="c") as service:
        assert service.client.get("/v1/samples?n=1").headers["x-model"].startswith("c@")
    with running(tmp_path, models_dir=tmp_path / "models") as service:
        assert service.client.get("/v1/models").json()["default"] == "b"
        assert "GAN_DEFAULT_MODEL" in service.log.read_text()


def test_overload_is_told_with_a_time_to_return(tmp_path: Path) -> None:
    """24 clients ask for 4,096 images each, and 8 may wait: some requests are refused, and none fails otherwise."""
    make_tiny_model_folder(tmp_path / "models" / "mnist-conv")
    with running(tmp_path, models_dir=tmp_path / "models", max_queue_images=8) as service:
        statuses: list[int] = []

        def ask(path: str) -> None:
            with httpx.Client(base_url=service.url, timeout=60) as client:
                response = client.get(path)
                statuses.append(response.status_code)
                if response.status_code == 429:
                    assert_problem(response, 429)
                    assert int(response.headers["retry-after"]) >= 1

        seeds = ",".join(map(str, range(16)))
        paths = ("/v1/samples?n=4096&padding=0", f"/v1/interpolations?seeds={seeds}&steps=256&loop=true")
        threads = [threading.Thread(target=ask, args=(paths[k % 2],)) for k in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200, 429}
        assert service.metric("gan_requests_shed_total") == statuses.count(429)
        assert service.client.get("/readyz").status_code == 200
        assert service.client.get("/v1/samples?n=64").status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/models/truncated", "/v1/models/nope", "/v1/models/mnist-conv@000000000000/history"]
)
def test_unknown_model(client: httpx.Client, path: str) -> None:
    assert_problem(client.get(path), 404, parameter="name")


def test_a_reason_has_a_length(modelless_service: Service) -> None:
    """The reason is cut, even for a folder that was made to fill the answers with a long text."""
    reason = modelless_service.client.get("/readyz").json()["broken"]["talkative"]
    assert 0 < len(reason) <= 500
