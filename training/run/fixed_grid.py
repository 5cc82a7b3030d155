"""The picture by which a run is watched: the same 64 latents, drawn by G."""

import torch
from torch import nn

from models.grids import assemble_grid
from models.inference.sampler import Sampler
from models.latents import draw_latents
from training.config import RunConfig
from training.pictures import encode_png

SEED = 0
IMAGES = 64


def draw_grid(generator: nn.Module, config: RunConfig, *, device: torch.device | str = "cpu") -> bytes:
    """PNG of a G at the fixed latents: those of `/v1/samples?seed=0`."""
    latents = draw_latents(SEED, 0, IMAGES, z_dim=config.recipe.z_dim, prior=config.recipe.prior)
    sampler = Sampler(generator, z_dim=config.recipe.z_dim, image_shape=config.image_shape, device=device)
    return encode_png(assemble_grid(sampler(latents), padding=2))
