"""Spectral normalisation: each layer has norm 1 during the game, and a plain D is exported."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from models.model_folder.read import load_model
from tests.training.support import exported_bytes, make_config, make_game, play, real_batch_of, tiny_recipe, write_npz
from training.gan.game import Game
from training.run.checkpoint import load_checkpoint, save_checkpoint
from training.run.folder import RunFolder
from training.run.progress import Progress

NAMES = ["mlp", "conv", "goodfellow2014"]


def normalised(name: str = "mlp", *overrides: str, seed: int = 3) -> Game:
    return make_game(tiny_recipe(name, "spectral_norm=true", *overrides), seed=seed)


def norms(network: nn.Module) -> list[float]:
    """The largest singular value of each layer's weight, as a matrix."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    return [float(np.linalg.svd(layer.weight.detach().flatten(1).double().numpy())[1][0]) for layer in layers]


@pytest.mark.parametrize("name", NAMES)
def test_each_layer_of_d_has_norm_1_and_g_is_as_it_was(name: str):
    game = normalised(name)
    for _ in range(3):
        game.discriminator_step(real_batch_of(9))
    with torch.no_grad():
        for _ in range(150):  # each pass is a step of the power iteration
            game.discriminator(real_batch_of(1).images)
    seen = norms(game.discriminator.eval())
    assert seen == pytest.approx([1] * len(seen), abs=0.02)
    assert not any(parametrize.is_parametrized(layer) for layer in game.generator.modules())
    plain = make_game(tiny_recipe(name))
    before, after = plain.generator.state_dict(), normalised(name).generator.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_without_it_norms_are_what_they_are():
    assert max(abs(norm - 1) for norm in norms(make_game(tiny_recipe("mlp")).discriminator)) > 0.05


@pytest.mark.parametrize("name", NAMES)
def test_the_plain_d_says_what_the_normalised_one_says(name: str):
    game = normalised(name)
    for _ in range(5):
        game.discriminator_step(real_batch_of(9))
    state = {key: tensor.clone() for key, tensor in game.discriminator.state_dict().items()}
    plain = game.plain_discriminator()
    assert not plain.training
    assert game.discriminator.training
    assert all(torch.equal(tensor, state[key]) for key, tensor in game.discriminator.state_dict().items())
    assert not any(parametrize.is_parametrized(layer) for layer in plain.modules())
    assert set(plain.state_dict()) == set(make_game(tiny_recipe(name)).discriminator.state_dict())
    images = real_batch_of(20).images
    with torch.no_grad():
        wanted = game.discriminator.eval()(images)
        assert torch.equal(plain(images), wanted)
        next(plain.parameters()).zero_()
        assert torch.equal(game.discriminator(images), wanted)  # a copy: nothing is shared


def test_a_plain_d_of_a_game_without_it_is_a_copy():
    game = make_game(tiny_recipe("goodfellow2014"))
    plain, images = game.plain_discriminator(), real_batch_of(5).images
    with torch.no_grad():
        assert torch.equal(plain(images), game.discriminator.eval()(images))


def test_it_follows_from_the_seed_alone():
    def first(global_seed: int, seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(global_seed)
        return normalised(seed=seed).discriminator.state_dict()

    one, again, other = first(1, 3), first(2, 3), first(1, 4)
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_a_saved_state_goes_on_exactly(tmp_path: Path):
    whole, stopped = normalised(), normalised(seed=9)
    whole.discriminator_step(real_batch_of(9))
    whole.generator_step(real_batch_of(9))
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, whole, Progress(step=1))
    load_checkpoint(path, stopped)
    for game in (whole, stopped):
        game.discriminator_step(real_batch_of(9, first=9))
    a, b = whole.discriminator.state_dict(), stopped.discriminator.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_an_exported_d_has_norm_1_without_knowing_how(tmp_path: Path):
    recipe = tiny_recipe("mlp", "spectral_norm=true", "epochs=4")
    config, folder = make_config(recipe, write_npz(tmp_path / "data.npz")), RunFolder(tmp_path / "run")
    folder.create(config)
    play(folder, config)
    exported_bytes(folder, config, tmp_path / "model")
    model = load_model(tmp_path / "model")
    assert norms(model.discriminator) == pytest.approx([1, 1], abs=0.05)
