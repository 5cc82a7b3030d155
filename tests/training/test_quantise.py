"""A run exported with G in whole numbers."""

from pathlib import Path

import pytest
import torch

from models.folder import load_model
from models.latents import draw_latents
from models.quantised import QuantisedLinear
from tests.training.support import exported_bytes, make_config, play, tiny_recipe, write_npz
from training.cli import main
from training.errors import RecipeError
from training.run_folder import RunFolder


def test_a_g_in_whole_numbers(tmp_path: Path) -> None:
    """`quantise` makes of a run's G a quantised one, whose figures and last picture are its own."""
    config = make_config(tiny_recipe("mlp", "quantise=true", "epochs=1"), write_npz(tmp_path / "data.npz"))
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    play(folder, config)
    first = exported_bytes(folder, config, tmp_path / "model")
    assert exported_bytes(folder, config, tmp_path / "model") == first
    model = load_model(tmp_path / "model")
    assert model.metadata.quantised
    assert any(isinstance(layer, QuantisedLinear) for layer in model.generator.modules())
    assert "million weights of 8 bits, D" in model.card
    assert main(["export", str(folder.path), "--to", str(tmp_path / "float"), "--set", "quantise=false"]) == 0
    in_float = load_model(tmp_path / "float")
    assert not in_float.metadata.quantised
    latents = torch.from_numpy(draw_latents(0, 0, 64, z_dim=4, prior="normal"))
    with torch.no_grad():
        difference = (model.generator(latents) - in_float.generator(latents)).abs()
    assert 0 < difference.max() < 0.1


def test_a_convolutional_g_stays_in_floats() -> None:
    with pytest.raises(RecipeError, match="the G of conv cannot be quantised: set quantise=false"):
        tiny_recipe("conv", "quantise=true")
