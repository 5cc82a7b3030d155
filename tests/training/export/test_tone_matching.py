"""Export a run, and an exported model again, with a tone curve."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.grids import assemble_grid
from models.inference.projection import Projector
from models.inference.sampler import Sampler
from models.inference.word_sampler import WordSampler
from models.latents import draw_latents, draw_words
from models.model_folder.read import load_model
from tests.training.support import exported_bytes, judge_few_samples, make_config, play, tiny_recipe, write_npz
from training.cli.command_line import main
from training.data.dataset import load_dataset
from training.export import negatives
from training.run.folder import RunFolder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negatives, "GLYPHS", 30)
    monkeypatch.setattr("training.export.tone_matching.SAMPLES", 500)
    judge_few_samples(monkeypatch)


@pytest.fixture
def run_folder(tmp_path: Path) -> RunFolder:
    config = make_config(
        tiny_recipe("mlp", "quantise=true", "epochs=1", "tone_curve=true"), write_npz(tmp_path / "d.npz")
    )
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    play(folder, config)
    return folder


def test_the_exported_model_has_the_grey_levels_of_its_data(run_folder: RunFolder, tmp_path: Path) -> None:
    config = run_folder.read_config()
    first = exported_bytes(run_folder, config, tmp_path / "model")
    assert exported_bytes(run_folder, config, tmp_path / "model") == first
    model = load_model(tmp_path / "model")
    assert model.metadata.format_version == 4
    assert "grey levels matched with the training images" in model.card
    latents = model.draw_latents(5, 0, 400)
    plain = Sampler(model.generator, z_dim=4, image_shape=model.metadata.image_shape)
    sampler = Sampler.of_model(model)
    curve = model.tone_curve
    assert curve is not None
    images = sampler(latents)
    assert np.array_equal(images, curve(plain(latents)))
    real = load_dataset(config.data).images.numpy()
    apart = [np.abs(_cumulative(drawn) - _cumulative(real)).max() for drawn in (images, plain(latents))]
    assert apart[0] < 0.1 < apart[1]

    last = max(model.timeline, key=lambda entry: entry.epoch)
    fixed = sampler(draw_latents(0, 0, 64, z_dim=4, prior="normal"))
    assert np.array_equal(np.asarray(Image.open(last.path)), assemble_grid(fixed, padding=2))
    words = draw_words(5, 0, 9, z_dim=4)
    assert np.array_equal(WordSampler(sampler, model.metadata.prior)(words), images[:9])


def test_a_projection_searches_before_the_curve(run_folder: RunFolder, tmp_path: Path) -> None:
    main(["export", str(run_folder.path), "--to", str(tmp_path / "model")])
    model = load_model(tmp_path / "model")
    sampler = Sampler.of_model(model)
    (own,) = sampler(model.draw_latents(3, 0, 1))
    without = Projector(sampler.generator, z_dim=4, prior="normal", image_shape=model.metadata.image_shape)
    nearer, farther = (
        np.abs(sampler(projector(own).latent[None])[0].astype(int) - own).mean()
        for projector in (Projector.of_model(model, sampler), without)
    )
    assert nearer < min(5, farther / 2)


def test_a_model_gets_a_tone_curve_afterwards(
    run_folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, old, new = str(tmp_path / "d.npz"), tmp_path / "old", tmp_path / "new"
    assert main(["export", str(run_folder.path), "--to", str(old), "--set", "tone_curve=false"]) == 0
    assert main(["export", str(run_folder.path), "--to", str(tmp_path / "wanted")]) == 0
    capsys.readouterr()
    assert main(["judge", str(old), "--to", str(new), "--data", data, "--steps", "0", "--tone-curve"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["finding G's tone curve", "balancing D"]
    before, after, wanted = load_model(old), load_model(new), load_model(tmp_path / "wanted")
    assert before.metadata.tone_curve is None
    assert (before.metadata.judge, after.metadata.judge) == (False, False)  # D was not trained
    assert after.metadata.tone_curve == wanted.metadata.tone_curve is not None
    for name, tensor in before.generator.state_dict().items():
        assert torch.equal(tensor, after.generator.state_dict()[name])
    different = [
        name
        for name, tensor in before.discriminator.state_dict().items()
        if not torch.equal(tensor, after.discriminator.state_dict()[name])
    ]
    assert len(different) == 1  # the last bias
    assert after.timeline[-1].sha256 == wanted.timeline[-1].sha256 != before.timeline[-1].sha256
    assert after.timeline[0].sha256 == before.timeline[0].sha256
    titles = [line for line in after.card.splitlines() if line.startswith("## ")]
    assert titles == ["## How it was made", "## The tone curve", "## Figures", "## Limits", "## Licence"]
    assert f"training judge old --to new --data {data} --steps 0 --seed 5 --threads " in after.card
    assert after.metadata.evaluation["parzen_ll"] != before.metadata.evaluation["parzen_ll"]

    # A later training of D keeps the curve.
    assert main(["judge", str(new), "--to", str(tmp_path / "later"), "--data", data, "--steps", "2"]) == 0
    later = load_model(tmp_path / "later")
    assert later.metadata.tone_curve == after.metadata.tone_curve
    assert later.metadata.judge is True
    assert "## The tone curve" in later.card
    assert "## The training of D alone" in later.card


def test_no_steps_and_no_tone_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "mnist-mlp", "--to", str(tmp_path / "x"), "--steps", "0"]) == 2
    said = capsys.readouterr().err
    assert "--steps 0 leaves nothing to do: give a number of steps, --quantise or --tone-curve" in said


def test_the_command_line_shows_it(run_folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run_folder.path), "--to", str(tmp_path / "model")]) == 0
    assert main(["sample", str(tmp_path / "model"), "--n", "9", "--seed", "5", "-o", str(tmp_path / "grid.png")]) == 0
    model = load_model(tmp_path / "model")
    drawn = Sampler.of_model(model)(model.draw_latents(5, 0, 9))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "grid.png")), assemble_grid(drawn, padding=2))
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "model"), "--data", str(tmp_path / "d.npz"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures


def _cumulative(images: np.ndarray) -> np.ndarray:
    return np.cumsum(np.bincount(images.reshape(-1), minlength=256)) / images.size
