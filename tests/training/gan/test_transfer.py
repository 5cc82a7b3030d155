"""Transfer: each tensor of the new game is the model's where it fits, and the recipe's first draw elsewhere."""

import copy
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

from models.images import ImageShape
from tests.training.support import make_game, tiny_recipe
from training.gan.discriminator_loss import LabelledImages
from training.gan.game import Game
from training.gan.transfer import StartingModel, same_networks, start_from


def make(
    name: str = "conv", *overrides: str, classes: int = 0, side: int = 16, channels: Literal[1, 3] = 1, seed: int = 3
) -> Game:
    shape = ImageShape(channels=channels, height=side, width=side)
    return Game(
        tiny_recipe(name, "z_dim=9", *overrides),
        shape=shape,
        pixel_means=torch.full(shape.chw, 0.3),
        class_shares=np.full(classes, 1 / classes) if classes else None,
        seed=seed,
        device=torch.device("cpu"),
    )


def model_of(game: Game, *names: str, **changes: Any) -> StartingModel:
    fields: dict[str, Any] = {
        "reference": "old@1",
        "architecture": game.recipe.architecture,
        "z_dim": game.recipe.z_dim,
        "prior": "normal",
        "image_shape": game.shape,
        "ballots": game.classes,
        "class_names": names,
        "packing": game.recipe.packing,
        "generator": game.generator,
        "discriminator": game.plain_discriminator(),
    }
    return StartingModel(**fields | changes)


def begun(new: Game, old: Game, old_names: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> list[str]:
    return start_from(new, model_of(old, *old_names), names)


def states(game: Game) -> dict[str, torch.Tensor]:
    """Return all tensors of G and D, copied, by names that begin with "G." or "D."."""
    return {
        f"{player}.{name}": tensor.clone()
        for player, network in (("G", game.generator), ("D", game.discriminator))
        for name, tensor in network.state_dict().items()
    }


@pytest.mark.parametrize("name", ["mlp", "conv", "goodfellow2014"])
def test_the_same_networks_take_everything(name: str):
    old, new = make(name, seed=4), make(name)
    moments, random = copy.deepcopy(new.generator_optimiser.state_dict()), new.rng.get_state()
    taken, anew = begun(new, old)
    assert taken.startswith("taken from old@1: layers ")
    assert anew == "begun anew, as the recipe draws first weights: nothing"
    before, after = states(old), states(new)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    average = new.average.network.state_dict()
    assert all(torch.equal(average[key], tensor) for key, tensor in new.generator.state_dict().items())
    assert new.generator_optimiser.state_dict() == moments
    assert torch.equal(new.rng.get_state(), random)
    old.generator.zero_grad()
    with torch.no_grad():
        next(old.generator.parameters()).add_(1)  # the new game has memory of its own
    assert not torch.equal(states(old)["G.0.weight"], states(new)["G.0.weight"])


def test_the_same_classes_take_everything():
    old, new = make(classes=3, seed=4), make(classes=3)
    _, anew = begun(new, old, ("a", "b", "c"), ("a", "b", "c"))
    assert anew.endswith(": nothing")
    assert all(torch.equal(tensor, states(new)[key]) for key, tensor in states(old).items())


def test_classes_are_taken_by_their_names():
    old, new, fresh = make(classes=3, seed=4), make(classes=2), states(make(classes=2))
    taken, anew = begun(new, old, ("a", "b", "c"), ("c", "d"))
    was, now = states(old), states(new)
    # z_dim is 9: 6 inputs of noise and 3 classes before; 7 of noise and 2 classes now.
    columns, old_columns, first = (of["G.1.weight"] for of in (now, was, fresh))
    assert torch.equal(columns[:, :6], old_columns[:, :6])
    assert torch.equal(columns[:, 6], first[:, 6])
    assert torch.equal(columns[:, 7], old_columns[:, 8])  # c
    assert torch.equal(columns[:, 8], first[:, 8])  # d
    assert torch.equal(now["G.1.bias"], was["G.1.bias"])
    (logits,) = (name for name in now if name.startswith("D.") and now[name].shape == (2,))
    for name in (logits, logits.replace("bias", "weight")):
        assert torch.equal(now[name][0], was[name][2])
        assert torch.equal(now[name][1], fresh[name][1])
    rest = now.keys() - {"G.0.head_starts", "G.1.weight", logits, logits.replace("bias", "weight")}
    assert all(torch.equal(now[name], was[name]) for name in rest)
    assert torch.equal(now["G.0.head_starts"], fresh["G.0.head_starts"])
    assert "of layer 1 of G the inputs of 6 coordinates of noise and of 1 classes of the same names" in taken
    assert "the logits of 1 classes of the same names" in taken
    assert "of layer 1 of G 2 inputs (other classes, or more noise)" in anew


@pytest.mark.parametrize("name", ["mlp", "conv", "goodfellow2014"])
@pytest.mark.parametrize(("before", "now"), [(3, 0), (0, 3)])
def test_with_and_without_classes(name: str, before: int, now: int):
    """A G with classes has one more layer at its beginning, and a D with classes has its layers in a body."""
    old, new, fresh = make(name, classes=before, seed=4), make(name, classes=now), states(make(name, classes=now))
    names = ("a", "b", "c")
    begun(new, old, names[:before], names[:now])
    ours, theirs = list(tensors(new.generator)), list(tensors(old.generator))
    first, was = ours[0][1], theirs[0][1]
    assert torch.equal(first[:, :6], was[:, :6])
    assert torch.equal(first[:, 6:], fresh[f"G.{ours[0][0]}"][:, 6:])
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(ours[1:], theirs[1:], strict=True))
    ours, theirs = list(tensors(new.discriminator)), list(tensors(old.discriminator))
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(ours[:-2], theirs[:-2], strict=True))
    assert all(torch.equal(a, fresh[f"D.{key}"]) for key, a in ours[-2:])


def tensors(network: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [item for item in network.state_dict().items() if not item[0].endswith("head_starts")]


def test_clusters_are_not_those_of_the_model():
    """They have numbers, but cluster 0 of other images has nothing to do with cluster 0 of these."""
    old, new, fresh = make(classes=2, seed=4), make(classes=2), states(make(classes=2))
    begun(new, old)
    assert torch.equal(states(new)["G.1.weight"][:, 7:], fresh["G.1.weight"][:, 7:])


def test_another_side():
    """The convolutions do not depend on the side; G's first layer, and D's first layer after its maps, do."""
    old, new, fresh = make(seed=4), make(side=24), states(make(side=24))
    taken, anew = begun(new, old)
    was, now = states(old), states(new)
    fits = {name for name in now if now[name].shape == was[name].shape}
    alike = {name for name in now if name in fits and torch.equal(now[name], was[name])}
    anew_names = {name for name in now if torch.equal(now[name], fresh[name]) and name not in alike}
    assert anew_names >= {"G.0.weight", "G.0.bias"}
    assert {name for name in now if now[name].ndim == 4} <= alike
    assert alike | anew_names >= {name for name in now if name.endswith(("weight", "bias"))}
    assert "layer 0 of G" in anew
    assert "of G" in taken


def test_grey_to_rgb():
    old, new, fresh = make(seed=4), make(channels=3), states(make(channels=3))
    begun(new, old)
    was, now = states(old), states(new)
    other = [name for name in now if now[name].shape != was[name].shape]
    assert {name.split(".")[0] for name in other} == {"G", "D"}
    assert all(torch.equal(now[name], fresh[name]) for name in other)
    layers = {name.rpartition(".")[0] for name in other}
    rest = [name for name in now if name.rpartition(".")[0] not in layers]
    assert all(torch.equal(now[name], was[name]) for name in rest)


def test_more_and_fewer_coordinates_of_noise():
    for z_dim in (5, 12):
        old, new = make(seed=4), make("conv", f"z_dim={z_dim}")
        begun(new, old)
        n = min(z_dim, 9)
        assert torch.equal(states(new)["G.0.weight"][:, :n], states(old)["G.0.weight"][:, :n])


def test_a_spectrally_normalised_d_gets_the_weights_of_a_plain_one():
    old, new = make(seed=4), make("conv", "spectral_norm=true")
    begun(new, old)
    layers = [m for m in old.discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    normalised = [m for m in new.discriminator.eval().modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for plain, layer in zip(layers, normalised, strict=True):
        norm = torch.linalg.matrix_norm(plain.weight.detach().flatten(1), ord=2)
        assert torch.allclose(layer.weight, plain.weight / norm, rtol=0.02, atol=1e-4)


def test_packs_need_a_new_first_layer_of_d():
    old, new = make("conv", "batch_size=8", seed=4), make("conv", "packing=2", "batch_size=8")
    _, anew = begun(new, old)
    assert "layer body.0 of D" in anew
    assert "of G" not in anew


def test_without_a_d_only_g_is_taken():
    old, new, fresh = make(seed=4), make(), states(make())
    taken, anew = start_from(new, model_of(old, discriminator=None), ())
    assert "of D" not in taken
    assert anew.endswith(": D (the model's is a judge, or may be one)")
    assert all(
        torch.equal(tensor, (fresh if key[0] == "D" else states(old))[key]) for key, tensor in states(new).items()
    )


def test_the_new_game_can_be_played():
    old, new = make(classes=3, seed=4), make(side=24, channels=3)
    begun(new, old, ("a", "b", "c"))
    images = torch.rand(9, 3, 24, 24) * 2 - 1
    new.discriminator_step(LabelledImages(images))
    new.generator_step(LabelledImages(images))


def test_same_networks_looks_at_layers_and_sizes_only():
    start = model_of(make("mlp"))
    architecture = start.architecture
    assert same_networks(architecture.model_copy(update={"leaky_slope": 0.3}), architecture, start)
    assert not same_networks(architecture.model_copy(update={"generator_widths": (8, 13)}), architecture, start)
    assert not same_networks(make_game(tiny_recipe("conv")).recipe.architecture, architecture, start)
