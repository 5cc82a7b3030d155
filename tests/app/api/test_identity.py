"""Image i of seed s has the same bits, in whatever way it is requested and whatever other clients request."""

import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from gan_client import Client
from harness.service import Service
from models.inference.tiles import TILE_ROWS
from tests.app.checks import json_images, pixels
from tests.services import running

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
def gan(service: Service) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


@pytest.fixture(scope="module")
def images(gan: Client, model: str) -> NDArray[np.uint8]:
    """Images 0 … N − 1 of seed 7."""
    return gan.samples(N, seed=7, model=model).images


def test_images_differ(images: NDArray[np.uint8]) -> None:
    assert len(np.unique(images.reshape(N, -1), axis=0)) == N


def test_each_alone(gan: Client, model: str, images: NDArray[np.uint8]) -> None:
    for index in range(N):
        assert (gan.samples(1, seed=7, first=index, model=model).images[0] == images[index]).all(), index


def test_every_n(gan: Client, model: str, images: NDArray[np.uint8]) -> None:
    for n in range(1, N + 1):
        assert (gan.samples(n, seed=7, model=model).images == images[:n]).all(), n


def test_every_position_in_a_tile(gan: Client, model: str, images: NDArray[np.uint8]) -> None:
    for position in range(TILE_ROWS):
        window = gan.samples(TILE_ROWS, seed=7, first=20 - position, model=model).images
        assert (window[position] == images[20]).all(), position


def test_every_format(client: httpx.Client, model: str, images: NDArray[np.uint8]) -> None:
    query = f"/v1/samples?n={N}&seed=7&model={model}"
    assert (json_images(client.get(f"{query}&format=json").json()) == images).all()
    with zipfile.ZipFile(io.BytesIO(client.get(f"{query}&format=zip").content)) as files:
        assert (np.stack([pixels(files.read(f"{index:06d}.png")) for index in range(N)]) == images).all()
    strip = pixels(client.get(f"{query}&format=png&columns={N}&padding=0").content)
    assert (np.stack(np.split(strip, N, axis=1)) == images).all()


def test_in_shared_batches(gan: Client, model: str, images: NDArray[np.uint8]) -> None:
    """Clients that ask at the same time share calls of the engine, and get the same images as alone."""

    def ask(k: int) -> bool:
        first, n = k % 24, 1 + k % 16
        drawn = gan.samples(n, seed=7, first=first, model=model).images
        return bool((drawn == images[first : first + n]).all())

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(96)))


def test_after_a_restart(service: Service, other: Service, images: NDArray[np.uint8], model: str) -> None:
    assert other.url != service.url
    with Client(other.url) as gan:
        assert (gan.samples(N, seed=7, model=model).images == images).all()
