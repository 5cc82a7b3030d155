"""A residual pair from a run to a model folder: D's further training, packing, classes, clusters, a projection."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.images import from_uint8
from models.inference.projection import Projector
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.latents import draw_latents
from models.model_folder.read import load_model
from tests.training.support import exported_bytes, make_config, play, tiny_images, tiny_recipe
from training.cli.command_line import main
from training.run.folder import RunFolder


@pytest.fixture(params=[("conditional=true", "z_dim=8"), ("batch_size=8", "packing=2"), ("clusters=3", "z_dim=8")])
def exported(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    data = tmp_path / "data.npz"
    np.savez(data, images=tiny_images(60, 18, channels=3), labels=np.arange(60) % 3)
    overrides = ("r1_gamma=0.5", "r2_gamma=0.5", "penalty_interval=2", "loss=relativistic", "judge_steps=2", "epochs=1")
    config = make_config(tiny_recipe("photos", *overrides, *request.param), data)
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    play(folder, config)
    exported_bytes(folder, config, tmp_path / "model")
    return tmp_path / "model"


def test_the_model_draws_judges_and_projects(exported: Path) -> None:
    model = load_model(exported)
    assert model.metadata.architecture.name == "residual"
    sampler = Sampler.of_model(model)
    scorer = Scorer(model.discriminator, image_shape=model.metadata.image_shape)
    latents = draw_latents(1, 0, 21, z_dim=model.metadata.z_dim, prior="normal")
    images = sampler(latents)
    assert images.shape == (21, 18, 18, 3)
    np.testing.assert_array_equal(images[20:], sampler(latents[20:]))
    np.testing.assert_array_equal(scorer(images)[20:], scorer(images[20:]))
    with torch.no_grad():
        wanted = model.discriminator(from_uint8(images)).numpy()
    np.testing.assert_allclose(scorer(images), wanted, atol=1e-4, rtol=1e-3)
    found = Projector.of_model(model, sampler)(images[0])
    apart = np.abs(sampler(found.latent[None])[0].astype(int) - images[0])
    assert apart.mean() < 3


def test_it_cannot_be_quantised_later(
    exported: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(exported.parent)
    command = ["judge", "model", "--to", "new", "--data", "data.npz", "--steps", "0", "--quantise"]
    assert main(command) == 2
    assert "is a residual network, for which there is no 8-bit arithmetic" in capsys.readouterr().err
    assert not (exported.parent / "new").exists()
