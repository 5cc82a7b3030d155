"""What the plain service and the rivals draw is what G draws."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.services.plain_pictures import PlainPictures
from harness.tiny_models import make_tiny_model_folder
from models.inference.sampler import Sampler
from models.model_folder.read import load_model
from tests.benchmarks.test_serving import pixels


@pytest.mark.parametrize("quantised", [False, True])
def test_a_lone_picture(quantised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(make_tiny_model_folder(tmp_path / "tiny", quantised=quantised))
    monkeypatch.setenv("PLAIN_MODEL", str(model.path))
    latents = torch.randn(1, 8, generator=torch.Generator().manual_seed(5))
    sampler = Sampler(model.generator, z_dim=8, image_shape=model.metadata.image_shape)
    (png,) = PlainPictures()([(1, 5)])
    apart = np.abs(pixels(png) - sampler(latents.numpy())[0])
    assert apart.mean() < (1.5 if quantised else 0.01)  # without its rounding it is not quite the same G
