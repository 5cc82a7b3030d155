"""The two players: how G and D are built and initialised, and the optimisers that train them."""

import copy
from operator import attrgetter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from models.images import ImageShape
from models.networks.batch_part import Part
from models.networks.build import build_networks
from models.networks.conditional import ballots_of
from models.networks.head_starts import head_starts_for
from models.networks.layers import Dropout
from training.recipe import SGD, Adam, Optimiser, Recipe


def build_players(recipe: Recipe, *, shape: ImageShape, classes: int) -> tuple[nn.Module, nn.Module]:
    """Build G, [N, z_dim] → images [N, C, H, W], and D, images → logits [N]; `classes` is 0 in an unconditional game.

    Their weights are PyTorch's defaults until `initialise_players` sets them.
    """
    return build_networks(
        recipe.architecture, z_dim=recipe.z_dim, image_shape=shape, classes=classes, packing=recipe.packing
    )


def initialise_players(
    generator: nn.Module,
    discriminator: nn.Module,
    recipe: Recipe,
    *,
    pixel_means: torch.Tensor,
    class_shares: NDArray[np.float64] | None,
    seed: int,
) -> None:
    """Set the initial weights of both players on the CPU, so that one seed gives the same weights for every device.

    Args:
        generator: the network G, changed in place.
        discriminator: the network D, changed in place; with `recipe.spectral_norm` its layers become spectrally
            normalised.
        recipe: the settings.
        pixel_means: [C, H, W] float32 in [0, 1], the mean training image.
        class_shares: [K] float64, the share of each class among the training images; None if unconditional.
        seed: the seed of the weights.
    """
    weights_rng = torch.Generator().manual_seed(seed)
    recipe.architecture.initialise(generator, discriminator, rng=weights_rng, pixel_means=pixel_means)
    if class_shares is not None:
        head_starts = torch.from_numpy(head_starts_for(class_shares, prior=recipe.prior))
        ballots_of(generator).head_starts.copy_(head_starts)
    if recipe.spectral_norm:
        _normalise_spectrally(discriminator, seed)


def connect_dropout(discriminator: nn.Module, recipe: Recipe, *, rng: torch.Generator, part: Part) -> None:
    """Let D's dropout layers draw their masks from `rng`, for this process's `part` of each batch."""
    for layer in discriminator.modules():
        if isinstance(layer, Dropout):
            layer.rng = rng
            layer.part = part._replace(group=recipe.images_a_group // recipe.packing)  # a row of its input is a pack


def running_statistics(network: nn.Module) -> list[torch.Tensor]:
    """Return the buffers in which layers keep statistics of the batches that they have seen, such as a running mean.

    With several processes each process updates them from its own part of the batch, so the game must average them.
    """
    return [buffer for name, buffer in network.named_buffers() if name.rpartition(".")[2].startswith("running_")]


def make_optimiser(settings: Optimiser, network: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """Return Adam or SGD over all weights of `network`, which is on `device`."""
    if isinstance(settings, Adam):
        return torch.optim.Adam(
            network.parameters(), lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), fused=True
        )
    return torch.optim.SGD(
        network.parameters(), lr=settings.learning_rate, momentum=settings.momentum_start, fused=device.type == "cuda"
    )


def set_learning_rate(
    optimiser: torch.optim.Optimizer, settings: Optimiser, *, step: int, steps: int, epoch: int, factor: float
) -> None:
    """Set the learning rate, and SGD's momentum, for G's step `step` (from 0) of `steps`, in epoch `epoch` (from 1).

    The learning rate is multiplied by `factor`.
    """
    for group in optimiser.param_groups:
        group["lr"] = settings.learning_rate_at(step, steps=steps) * factor
        if isinstance(settings, SGD):
            group["momentum"] = settings.momentum_at(epoch)


def copy_without_spectral_norm(discriminator: nn.Module, plain: nn.Module) -> None:
    """Copy D's weights, as spectral normalisation makes them, into `plain`: the same D, built without normalisation."""
    normalised = copy.deepcopy(discriminator).eval()  # in training mode, reading a weight updates its singular vectors
    plain.load_state_dict({name: attrgetter(name)(normalised).detach() for name in plain.state_dict()})


def _normalise_spectrally(network: nn.Module, seed: int) -> None:
    """Keep each layer's largest singular value at 1: Miyato et al. 2018 (arXiv 1802.05957)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # PyTorch draws the first guess of each singular vector from global state only
        for layer in list(network.modules()):
            if isinstance(layer, nn.Linear | nn.Conv2d):
                spectral_norm(layer)
