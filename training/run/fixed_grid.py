"""The picture that shows how a run progresses: G's images of 64 fixed latents, as one grid."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.grids import assemble_grid, split_grid
from models.inference.sampler import Sampler
from models.latents import Prior, draw_latents
from training.config import RunConfig
from training.pictures import decode_png, encode_png

SEED = 0
IMAGES = 64
PADDING = 2
"""Black pixels between the images of the grid and around them."""


def draw_fixed_images(
    generator: nn.Module, config: RunConfig, *, device: torch.device | str = "cpu"
) -> NDArray[np.uint8]:
    """Draw a run's images of the fixed latents: [64, H, W] or [64, H, W, 3] uint8.

    The latents are those of `/v1/samples?seed=0`.
    """
    sampler = Sampler(generator, z_dim=config.recipe.z_dim, image_shape=config.image_shape, device=device)
    return _draw(sampler, config.recipe.prior)


def draw_final_grid(sampler: Sampler, prior: Prior) -> bytes:
    """Draw the images of the 64 fixed latents as a model draws them, with its tone curve, and return them as a PNG."""
    return _encode(_draw(sampler, prior))


def _draw(sampler: Sampler, prior: Prior) -> NDArray[np.uint8]:
    return sampler(draw_latents(SEED, 0, IMAGES, z_dim=sampler.z_dim, prior=prior))


def _encode(images: NDArray[np.uint8]) -> bytes:
    return encode_png(assemble_grid(images, padding=PADDING))


def draw_grid(generator: nn.Module, config: RunConfig, *, device: torch.device | str = "cpu") -> bytes:
    """Draw G's images of the 64 fixed latents as a grid, and return it as a PNG."""
    return _encode(draw_fixed_images(generator, config, device=device))


def split_fixed_grid(png: bytes, *, side: int) -> NDArray[np.uint8]:
    """Split a PNG of `draw_grid` into its images, each `side` pixels high and wide.

    Returns:
        [64, side, side] or [64, side, side, 3] uint8.

    Raises:
        ValueError: the bytes are not such a PNG.
    """
    return split_grid(decode_png(png), side, padding=PADDING)
