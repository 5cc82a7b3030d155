"""Image i of seed s is the same bits, however it is asked for and whoever else is asking."""

import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from models.tiles import TILE_ROWS
from tests.app.checks import json_images, pixels
from tests.app.service import Service, running

N = 40
"""Two full tiles and a part of a third."""


@pytest.fixture(scope="module", params=["mnist-conv", "conv", "rgb"])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def other(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Another process with the same models."""
    with running(tmp_path_factory.mktemp("other"), models_dir=models_dir) as started:
        yield started


@pytest.fixture(scope="module")
def images(client: httpx.Client, model: str) -> NDArray[np.uint8]:
    """Images 0 … N − 1 of seed 7."""
    return json_images(client.get(f"/v1/samples?n={N}&seed=7&format=json&model={model}").json())


def image(client: httpx.Client, model: str, first: int, n: int = 1) -> NDArray[np.uint8]:
    return json_images(client.get(f"/v1/samples?n={n}&seed=7&first={first}&format=json&model={model}").json())


def test_images_differ(images: NDArray[np.uint8]) -> None:
    assert len(np.unique(images.reshape(N, -1), axis=0)) == N


def test_each_alone(client: httpx.Client, model: str, images: NDArray[np.uint8]) -> None:
    for index in range(N):
        assert (image(client, model, index)[0] == images[index]).all(), index


def test_every_n(client: httpx.Client, model: str, images: NDArray[np.uint8]) -> None:
    for n in range(1, N + 1):
        assert (image(client, model, 0, n) == images[:n]).all(), n


def test_every_position_in_a_tile(client: httpx.Client, model: str, images: NDArray[np.uint8]) -> None:
    for position in range(TILE_ROWS):
        window = image(client, model, 20 - position, TILE_ROWS)
        assert (window[position] == images[20]).all(), position


def test_every_format(client: httpx.Client, model: str, images: NDArray[np.uint8]) -> None:
    query = f"/v1/samples?n={N}&seed=7&model={model}"
    archive = np.load(io.BytesIO(client.get(f"{query}&format=npz").content))
    assert (archive["images"] == images).all()
    with zipfile.ZipFile(io.BytesIO(client.get(f"{query}&format=zip").content)) as files:
        assert (np.stack([pixels(files.read(f"{index:06d}.png")) for index in range(N)]) == images).all()
    strip = pixels(client.get(f"{query}&format=png&columns={N}&padding=0").content)
    assert (np.stack(np.split(strip, N, axis=1)) == images).all()


def test_in_shared_batches(service: Service, model: str, images: NDArray[np.uint8]) -> None:
    """Clients that ask at once share calls of the engine, and none of them can tell."""

    def ask(k: int) -> bool:
        first, n = k % 24, 1 + k % 16
        with httpx.Client(base_url=service.url, timeout=60) as client:
            return bool((image(client, model, first, n) == images[first : first + n]).all())

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(96)))


def test_after_a_restart(service: Service, other: Service, images: NDArray[np.uint8], model: str) -> None:
    assert other.url != service.url
    assert (image(other.client, model, 0, N) == images).all()
