"""Hot reload: model folders are added, changed, removed and damaged, and no request is dropped."""

import asyncio
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.inference.batch_queue import BatchQueue
from app.main import create_app
from app.settings import Settings
from harness.service import Service
from harness.tiny_models import make_tiny_model_folder
from models.model_folder.read import load_model
from tests.app.checks import assert_problem
from tests.services import running

ADMIN = {"Authorization": "Bearer the-admin"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models = tmp_path / "models"
    for name in ("kept", "changed", "removed", "spoilt"):
        make_tiny_model_folder(models / name)
    return models


@pytest.fixture
def own(tmp_path: Path, folder: Path) -> Iterator[Service]:
    with running(tmp_path, models_dir=folder, default_model="kept", admin_key="the-admin") as started:
        yield started


def change(folder: Path) -> None:
    """Change the folder in every possible way. After each step it is complete, as a careful operator would leave it."""
    make_tiny_model_folder(folder.parent / "another", seed=9)
    replace(folder / "changed", folder.parent / "another")
    make_tiny_model_folder(folder / "added")
    shutil.rmtree(folder / "removed")
    weights = folder / "spoilt" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    (folder / "kept" / "CARD.md").write_text("# A new card\n")


def replace(old: Path, new: Path) -> None:
    shutil.rmtree(old)
    new.rename(old)


def reload(service: Service) -> dict[str, object]:
    answer = service.client.post("/admin/reload", headers=ADMIN)
    assert answer.status_code == 200
    document: dict[str, object] = answer.json()
    return document


def picture(service: Service, model: str) -> bytes:
    answer = service.client.get("/v1/samples", params={"model": model, "seed": 3, "n": 4})
    assert answer.status_code == 200, answer.text
    return answer.content


def test_reload(own: Service, folder: Path) -> None:
    names = ("kept", "changed", "spoilt")
    old = {name: load_model(folder / name).reference for name in (*names, "removed")}
    drawn = {name: picture(own, name) for name in names}
    change(folder)
    answer = reload(own)
    new = {name: load_model(folder / name).reference for name in ("changed", "added")}
    assert new["changed"] != old["changed"]
    assert answer["added"] == [new["added"]]
    assert answer["changed"] == [new["changed"]]
    assert answer["removed"] == [old["removed"]]
    assert answer["kept"] == [old["kept"], old["spoilt"]]
    assert list(answer["broken"]) == ["spoilt"]  # type: ignore[call-overload]
    assert picture(own, "kept") == drawn["kept"]
    assert picture(own, "spoilt") == drawn["spoilt"]  # the version that was loaded before
    assert picture(own, "changed") != drawn["changed"]
    assert picture(own, "added")
    assert_problem(own.client.get("/v1/samples", params={"model": "removed"}), 404, text="no model 'removed'")
    assert_problem(own.client.get("/v1/samples", params={"model": old["changed"]}), 404, text="is not loaded")
    assert own.client.get("/v1/models/kept").json()["card"] == "# A new card\n"
    (spoilt,) = [m for m in own.client.get("/v1/models").json()["models"] if m["name"] == "spoilt"]
    assert spoilt["ready"]
    assert spoilt["error"]
    metrics = own.client.get("/metrics").text
    assert f'gan_model_info{{arithmetic="float32",model="{old["removed"]}"}} 0.0' in metrics
    assert f'gan_model_info{{arithmetic="float32",model="{new["added"]}"}} 1.0' in metrics


def test_a_picture_whose_file_changes_is_never_sent_as_the_old_one(own: Service, folder: Path) -> None:
    """Browsers and caches keep the picture of a version for a year, so it must be the one that was loaded."""
    url = f"/v1/models/{load_model(folder / 'removed').reference}/timeline/1.png"
    before = own.client.get(url)
    assert before.status_code == 200
    shutil.copy(folder / "removed" / "timeline" / "00002.png", folder / "removed" / "timeline" / "00001.png")
    assert_problem(own.client.get(url), 404, parameter="epoch", text="has changed since")
    reload(own)  # the same version with another picture
    after = own.client.get(url)
    assert after.status_code == 200
    assert (after.content == before.content, after.headers["etag"] == before.headers["etag"]) == (False, False)
    shutil.rmtree(folder / "removed")
    assert_problem(own.client.get(url), 404, parameter="epoch", text="has gone")


def test_a_reload_does_not_fail_because_the_queue_is_full(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> int:
        app = create_app(Settings(models_dir=models_dir, admin_key="the-admin"))
        async with app.router.lifespan_context(app):
            monkeypatch.setattr(BatchQueue, "has_room_for", lambda _queue, _images: False)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gan") as client:
                assert (await client.get("/v1/samples?n=1")).status_code == 429
                return (await client.post("/admin/reload", headers=ADMIN)).status_code

    assert asyncio.run(play()) == 200


def test_no_request_is_dropped(own: Service, folder: Path) -> None:
    """Clients keep asking while the folder changes repeatedly: every answer is complete, and of one of the versions."""
    make_tiny_model_folder(folder.parent / "one", seed=1)
    make_tiny_model_folder(folder.parent / "two", seed=2)
    expected: set[bytes] = set()
    for version in ("one", "two"):
        replace_by_copy(folder / "changed", folder.parent / version)
        reload(own)
        expected.add(picture(own, "changed"))
    seen: set[bytes] = set()
    stop = threading.Event()
    failures: list[str] = []

    def ask() -> None:
        with httpx.Client(base_url=own.url, timeout=60) as client:
            while not stop.is_set():
                answer = client.get("/v1/samples", params={"model": "changed", "seed": 3, "n": 4})
                seen.add(answer.content)
                if answer.status_code != 200:
                    failures.append(answer.text)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in ("one", "two", "one", "two"):
        replace_by_copy(folder / "changed", folder.parent / version)
        reload(own)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen <= expected
    assert len(expected) == 2


def replace_by_copy(old: Path, new: Path) -> None:
    copy = shutil.copytree(new, new.with_name("copy"))
    replace(old, copy)


def test_sighup(own: Service, folder: Path) -> None:
    change(folder)
    own.process.send_signal(signal.SIGHUP)
    wait_for_model(own, "added")
    assert own.client.get("/readyz").json()["ready"]


@pytest.mark.slow
def test_every_worker_reloads(tmp_path: Path, folder: Path) -> None:
    with running(tmp_path, models_dir=folder, default_model="kept", admin_key="the-admin", workers=2) as service:
        make_tiny_model_folder(folder / "added")
        assert httpx.post(f"{service.url}/admin/reload", headers=ADMIN, timeout=60).status_code == 200
        for _ in range(30):  # a connection each: of either worker
            wait_for_model(service, "added")
        make_tiny_model_folder(folder / "more")
        service.process.send_signal(signal.SIGHUP)
        for _ in range(30):
            wait_for_model(service, "more")


def wait_for_model(service: Service, name: str) -> None:
    deadline = time.monotonic() + 60
    while httpx.get(f"{service.url}/v1/samples", params={"model": name, "n": 1}, timeout=60).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_folder_that_is_gone_takes_no_model_with_it(own: Service, folder: Path) -> None:
    """A disk that is away for a moment must not empty the service."""
    before = picture(own, "kept")
    folder.rename(folder.with_name("away"))
    assert str(reload(own)["models_folder"]).startswith("GAN_MODELS_DIR cannot be read")
    assert picture(own, "kept") == before
    readiness = own.client.get("/readyz").json()
    assert (readiness["ready"], len(readiness["models"])) == (True, 4)
    assert readiness["models_folder"].startswith("GAN_MODELS_DIR cannot be read")
    folder.with_name("away").rename(folder)
    assert len(reload(own)["kept"]) == 4  # type: ignore[arg-type]
    assert own.client.get("/readyz").json()["models_folder"] == "readable"


def test_without_the_key(own: Service) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic OnRoZS1hZG1pbg=="}):
        refused = own.client.post("/admin/reload", headers=headers)
        assert_problem(refused, 401, text="a key is needed")
        assert refused.headers["www-authenticate"] == 'Bearer realm="gan"'


def test_without_a_key_there_is_no_admin(client: httpx.Client) -> None:
    for method in ("POST", "GET", "PUT", "DELETE", "OPTIONS"):
        answer = client.request(method, "/admin/reload", headers=ADMIN)
        assert_problem(answer, 404, text="GAN_ADMIN_KEY is not set")
        assert "allow" not in answer.headers
