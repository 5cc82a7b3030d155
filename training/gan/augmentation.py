"""Differentiable augmentation: D sees real and fake images through the same random changes.

D then cannot learn single training images by heart, and the gradient still passes through the changes to G: Zhao et
al. 2020 ("Differentiable augmentation for data-efficient GAN training", arXiv 2006.10738). An image may be moved, and a
square of it may be hidden. It is never mirrored, because a mirrored digit is not a digit.
"""

import torch
from torch.nn import functional

from models.networks.batch_part import WHOLE, Part

SHIFT = 1 / 14
"""Largest move, as a share of the image's side: 2 pixels of 28."""

CUTOUT = 1 / 4
"""Side of the hidden square, as a share of the image's side: 7 pixels of 28."""


def augment(images: torch.Tensor, *, probability: float, rng: torch.Generator, part: Part = WHOLE) -> torch.Tensor:
    """Move each image at random, and hide a square of it: [N, C, H, W] in [−1, 1] → the same shape and range.

    Args:
        images: the images; gradients pass through the changes to them.
        probability: the probability of each of the two changes, for each image.
        rng: the source of the random changes.
        part: the rows of the whole batch that `images` are; the changes are drawn for the whole batch.
    """
    return _cut_out(_move(images, probability, rng, part), probability, rng, part)


def _move(images: torch.Tensor, probability: float, rng: torch.Generator, part: Part) -> torch.Tensor:
    n, _, height, width = images.shape
    whole = part.whole(n)
    reach = max(1, round(height * SHIFT))
    shifts = torch.randint(-reach, reach + 1, (2, whole), generator=rng, device=images.device)
    shifts = part.of(shifts * (torch.rand(whole, generator=rng, device=images.device) < probability), dim=1)
    padded = functional.pad(images, [reach] * 4, value=-1.0)
    rows = torch.arange(height, device=images.device) + reach + shifts[0, :, None]
    columns = torch.arange(width, device=images.device) + reach + shifts[1, :, None]
    index = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut_out(images: torch.Tensor, probability: float, rng: torch.Generator, part: Part) -> torch.Tensor:
    n, _, height, width = images.shape
    whole = part.whole(n)
    half = max(1, round(height * CUTOUT)) / 2
    centres = part.of(torch.rand(2, whole, 1, generator=rng, device=images.device), dim=1)
    rows = (torch.arange(height, device=images.device) + 0.5 - centres[0] * height).abs() < half
    columns = (torch.arange(width, device=images.device) + 0.5 - centres[1] * width).abs() < half
    happens = part.of(torch.rand(whole, 1, 1, generator=rng, device=images.device)) < probability
    hidden = (rows[:, :, None] & columns[:, None, :] & happens)[:, None]
    return images.masked_fill(hidden, -1.0)
