"""The services that tests of the room share: with tiny models of each kind, behind a prefix, without a usable model."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.service import Service
from harness.tiny_models import make_tiny_model_folder
from models import bundled_models_dir
from models.images import ImageShape
from models.model_folder.game_rules import GameRules
from models.networks.conv import Conv
from models.networks.encoder import Encoder
from tests.app.named_classes import BREEDS, PETS
from tests.services import running

PREFIX = "/gan"
"""Of the service on the bundled models."""


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_tiny_model_folder(folder / "mnist-conv", z_dim=16)
    make_tiny_model_folder(folder / "rgb", prior="uniform", image_shape=ImageShape(channels=3, height=32, width=32))
    conv = Conv(generator_channels=(4, 4), discriminator_channels=(4, 4))
    paper = GameRules(loss="non-saturating")
    make_tiny_model_folder(folder / "conv", architecture=conv, rules=paper, judge=False)
    relativistic = GameRules(loss="relativistic", r1_gamma=1.0)
    encoder = Encoder(widths=(8,))
    make_tiny_model_folder(folder / "digits", z_dim=16, classes=10, encoder=encoder, rules=relativistic, judge=True)
    hinge = GameRules(loss="hinge")
    make_tiny_model_folder(folder / "three", architecture=conv, prior="uniform", classes=3, rules=hinge)
    (folder / "empty").mkdir()
    broken = make_tiny_model_folder(folder / "truncated") / "model.safetensors"
    broken.write_bytes(broken.read_bytes()[:-100])
    return folder


@pytest.fixture(scope="session")
def service(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), models_dir=models_dir) as started:
        yield started


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on the bundled models, behind a path prefix."""
    with running(tmp_path_factory.mktemp("bundled"), root_path=PREFIX) as started:
        yield started


@pytest.fixture(scope="session")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of models whose classes have names: a few (`PETS`) and many (`BREEDS`), and of one of digits."""
    folder = tmp_path_factory.mktemp("named")
    models = folder / "models"
    models.mkdir()
    conv = Conv(generator_channels=(4, 4), discriminator_channels=(4, 4))
    rgb = ImageShape(channels=3, height=64, width=64)
    make_tiny_model_folder(models / "pets", z_dim=16, architecture=conv, image_shape=rgb, class_names=PETS)
    make_tiny_model_folder(models / "breeds", z_dim=210, class_names=BREEDS)
    make_tiny_model_folder(models / "mnist", z_dim=16, classes=10)
    with running(folder, models_dir=models, default_model="pets") as started:
        yield started


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two bundled models, with their training and figures, and of one that tells nothing of its own."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "models").mkdir()
    for name in ("mnist-mlp", "mnist-goodfellow2014-labels"):
        (folder / "models" / name).symlink_to(bundled_models_dir() / name)
    silent = make_tiny_model_folder(folder / "models" / "silent")
    for picture in (silent / "timeline").iterdir():
        picture.unlink()
    with running(folder, models_dir=folder / "models", default_model="mnist-mlp") as started:
        yield started


@pytest.fixture(scope="session")
def client(service: Service) -> httpx.Client:
    return service.client


@pytest.fixture(scope="session")
def prefixed_service(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same models behind /gan."""
    with running(tmp_path_factory.mktemp("prefixed"), models_dir=models_dir, root_path="/gan") as started:
        yield started


@pytest.fixture(scope="session")
def modelless_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Its two folders are broken: one is empty, the other made to fill the answers with what it says."""
    folder = tmp_path_factory.mktemp("modelless")
    models = folder / "models"
    (models / "bad").mkdir(parents=True)
    weights = make_tiny_model_folder(models / "talkative") / "model.safetensors"
    data = weights.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["x" * 100_000] = "1"
    text = json.dumps(header).encode()
    weights.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    with running(folder, models_dir=models) as started:
        yield started
