"""Fit an encoder to a finished G: the encoder learns to estimate the latent of an image.

`training export RUN --to DIR --set encoder_steps=N` turns it on; no bundled recipe does. `/v1/projections` then also
starts a search from the encoder's guess.

Every batch is new: latents from the prior, G's images of them, and the encoder's guesses of the latents. The loss has
two parts. The squared distance between guess and latent gives a useful gradient from the start. The squared distance
between G's image of the guess and the image gives more weight to coordinates on which the image depends more. Source:
Zhu et al. 2016 (arXiv 1609.03552), section 4.1, with samples in place of real images.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

from models.images import ImageShape
from models.networks.encoder import Encoder
from models.networks.folding import fold_batchnorm
from models.networks.mlp import initialise_like_pytorch
from training.errors import NotFiniteError
from training.gan.game import draw
from training.recipe import Recipe

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
IMAGE_WEIGHT = 10.0
"""Weight of the squared error of images, whose pixels are in [−1, 1]. The squared error of latents has the weight 1."""


def train_encoder(
    generator: nn.Module,
    recipe: Recipe,
    *,
    sizes: Encoder,
    image_shape: ImageShape,
    seed: int,
    say: Callable[[str], None] = print,
) -> nn.Module:
    """Train an encoder E for `recipe.encoder_steps` steps: [N, C, H, W] float32 → [N, z_dim] float32.

    Args:
        generator: the G that is exported; it does not change.
        recipe: the settings, of which the number of steps, the prior, z_dim and the precision are used.
        sizes: sizes of the encoder's layers.
        image_shape: shape of G's images.
        seed: seed of the initial weights and of the latents.
        say: function that receives a line with the loss after each tenth of the steps.

    Returns:
        E in evaluation mode; its weights need no gradients.

    Raises:
        NotFiniteError: the loss is NaN or infinite.
    """
    rng = torch.Generator().manual_seed(seed)
    frozen = fold_batchnorm(generator)
    encoder = sizes.network(z_dim=recipe.z_dim, image_shape=image_shape).train()
    initialise_like_pytorch(encoder, rng)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=LEARNING_RATE, fused=True)
    for step in range(recipe.encoder_steps):
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / recipe.encoder_steps)
        latents = draw(recipe.prior, BATCH_SIZE, recipe.z_dim, rng=rng)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            loss = encoder_loss(encoder, frozen, latents)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if (step + 1) % max(1, recipe.encoder_steps // 10) == 0:
            shown = float(loss.detach())
            if not math.isfinite(shown):
                raise NotFiniteError(
                    f"the encoder's loss is {shown} after {step + 1:,} steps; export without an encoder, "
                    "`--set encoder_steps=0`"
                )
            say(f"encoder: step {step + 1:,} of {recipe.encoder_steps:,}, loss {shown:.3f}")
    return encoder.eval().requires_grad_(requires_grad=False)


def encoder_loss(encoder: nn.Module, generator: nn.Module, latents: torch.Tensor) -> torch.Tensor:
    """Return mean ‖E(G(z)) − z‖² + IMAGE_WEIGHT·mean ‖G(E(G(z))) − G(z)‖²: means over coordinates and over pixels."""
    with torch.no_grad():
        images = generator(latents)
    guess = encoder(images).float()
    loss: torch.Tensor = (guess - latents).square().mean()
    loss += IMAGE_WEIGHT * (generator(guess) - images).square().mean()
    return loss
