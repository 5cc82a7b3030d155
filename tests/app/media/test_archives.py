"""npz and ZIP: read by their own libraries, the same bytes each time, streamed with flat memory."""

import io
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest

from harness.service import Service
from tests.app.checks import json_images, pixels
from tests.services import running


def test_npz(client: httpx.Client) -> None:
    answer = client.get("/v1/samples?n=600&seed=7&format=npz")
    archive = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert sorted(archive) == ["images", "latents"]
    assert (archive["images"].shape, archive["images"].dtype) == ((600, 28, 28), np.uint8)
    assert (archive["latents"].shape, archive["latents"].dtype) == ((600, 16), np.float32)
    known = client.get("/v1/samples?n=3&first=597&seed=7&format=json").json()
    assert (archive["images"][-3:] == json_images(known)).all()
    assert archive["latents"][-1].tolist() == known["samples"][-1]["latent"]


@pytest.mark.parametrize("query", ["n=1", "n=600", "n=512&first=9007199254740000", "n=1&model=rgb", "n=33&model=rgb"])
def test_the_length_of_an_npz_is_told_before_it_is_drawn(client: httpx.Client, query: str) -> None:
    """With the length, a client can show its progress and check that nothing is missing."""
    with client.stream("GET", f"/v1/samples?{query}&seed=7&format=npz") as answer:
        assert "transfer-encoding" not in answer.headers
        assert int(answer.headers["content-length"]) == len(answer.read())


def test_zip(client: httpx.Client) -> None:
    answer = client.get("/v1/samples?n=300&first=1000000&seed=7&format=zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
        assert files.testzip() is None
        assert files.namelist() == [f"{index:06d}.png" for index in range(1_000_000, 1_000_300)] + ["latents.npy"]
        assert pixels(files.read("1000299.png")).shape == (28, 28)
        assert np.load(io.BytesIO(files.read("latents.npy"))).shape == (300, 16)


def test_rgb_npz(client: httpx.Client) -> None:
    archive = np.load(io.BytesIO(client.get("/v1/samples?n=2&format=npz&model=rgb").content))
    assert archive["images"].shape == (2, 32, 32, 3)


def test_posted_latents(client: httpx.Client) -> None:
    body = {"latents": [[0.5] * 16, [-0.5] * 16], "format": "npz"}
    archive = np.load(io.BytesIO(client.post("/v1/samples", json=body).content))
    assert archive["latents"].tolist() == body["latents"]
    assert archive["images"].shape == (2, 28, 28)


def test_same_bytes_each_time(client: httpx.Client) -> None:
    for form in ("npz", "zip"):
        first, second = (client.get(f"/v1/samples?n=300&seed=7&format={form}").content for _ in range(2))
        assert first == second


def test_file_name(client: httpx.Client) -> None:
    answer = client.get("/v1/samples?n=2&seed=7&format=npz")
    assert answer.headers["content-disposition"] == 'attachment; filename="mnist-conv-seed7-0-2.npz"'


def peak_rss_bytes(service: Service) -> int:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.slow
def test_100_000_images_in_flat_memory(models_dir: Path, tmp_path: Path) -> None:
    """The server sends 78 MB of images and 6 MB of latents, and keeps only a chunk or two of them in memory."""
    with running(tmp_path, models_dir=models_dir) as service:
        service.client.get("/v1/samples?n=1000&seed=7&format=npz")
        before = peak_rss_bytes(service)
        size = 0
        with service.client.stream("GET", "/v1/samples?n=100000&seed=7&format=npz") as response:
            for part in response.iter_raw():
                size += len(part)
        assert size == int(response.headers["content-length"]) > 100_000 * 28 * 28
        assert peak_rss_bytes(service) - before < 30 * 2**20


def test_a_client_that_leaves_takes_nothing_with_it(service: Service) -> None:
    with service.client.stream("GET", "/v1/samples?n=100000&seed=7&format=zip") as response:
        next(response.iter_raw())
    assert service.client.get("/v1/samples?n=1").status_code == 200
    assert service.client.get("/readyz").status_code == 200
