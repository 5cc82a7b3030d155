"""A G whose normalisation was folded gets normalisation layers again, and draws the same images."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from models.latents import draw_latents
from models.networks.folding import fold_batchnorm
from tests.training.support import make_game, real_batch_of, tiny_recipe
from training.gan.unfolding import unfold_batchnorm


def trained(name: str) -> nn.Module:
    """Return a G whose normalisation layers have seen batches, in evaluation mode."""
    normalised = ["architecture.batch_normalisation=true"] if name == "conv" else []
    game = make_game(tiny_recipe(name, *normalised))
    for _ in range(20):
        game.generator_step(real_batch_of(9))
    return game.generator.eval()


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_it_draws_the_same_images(name: str):
    generator = trained(name)
    folded = fold_batchnorm(generator)
    assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in folded.modules())
    other = make_game(tiny_recipe(name), seed=9).generator.eval()
    unfold_batchnorm(folded, other, z_dim=4, prior="normal")
    z = torch.from_numpy(draw_latents(5, 0, 200, z_dim=4, prior="normal"))
    with torch.no_grad():
        assert (other(z) - generator(z)).abs().max() < 1e-4
        other.train()
        batch = torch.from_numpy(draw_latents(6, 0, 4096, z_dim=4, prior="normal"))
        in_training = other(batch)
        assert (in_training - generator(batch)).abs().mean() < 0.02  # by the statistics of this batch


def test_the_statistics_are_those_of_what_a_layer_sees():
    folded = fold_batchnorm(trained("mlp"))
    other = make_game(tiny_recipe("mlp")).generator.eval()
    assert isinstance(other, nn.Sequential)
    unfold_batchnorm(folded, other, z_dim=4, prior="normal")
    x = torch.from_numpy(draw_latents(1, 0, 4096, z_dim=4, prior="normal"))
    for layer, after in pairwise(other):
        x = layer(x)
        if isinstance(after, nn.BatchNorm1d):
            values = x.detach().double().numpy()
            assert after.running_mean is not None
            assert after.running_var is not None
            assert after.running_mean.numpy() == pytest.approx(values.mean(axis=0), abs=1e-4)
            assert after.running_var.numpy() == pytest.approx(values.var(axis=0, ddof=1), rel=1e-3, abs=1e-5)
