"""Fixtures with model folders to read, damage and replace."""

from pathlib import Path

import pytest

from harness.tiny_models import make_tiny_model_folder
from models.networks.encoder import Encoder


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make_tiny_model_folder(tmp_path / "tiny")


@pytest.fixture
def encoding(tmp_path: Path) -> Path:
    """A model with an encoder."""
    return make_tiny_model_folder(tmp_path / "encoding", encoder=Encoder(widths=(6,)))
