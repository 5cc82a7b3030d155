"""Test whether D scores held-out real images above pictures that are not real images.

The pictures are made from held-out images, with a seed that is used for nothing else. The letters are drawn in fonts
that `training.export.discriminator_finetuning` does not use.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from models.images import channels_last
from training.data.glyphs import HELD_OUT_FONTS, LATIN, draw_glyphs

PICTURES = 2000
SEED = 99


def uniform_noise(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Make noise: each pixel is uniform in 0 … 255, independent of the others."""
    return torch.randint(0, 256, images.shape, generator=rng, dtype=torch.uint8)


def inverted(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Invert the images, which swaps ink and paper."""
    del rng
    return 255 - images


def shuffled_pixels(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Shuffle the pixels of each image, in a new order for each."""
    flat = images.flatten(2)
    order = torch.rand(len(flat), 1, flat.shape[2], generator=rng).argsort(dim=2)
    return flat.gather(2, order.expand_as(flat)).view_as(images)


def letters(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Draw Latin letters in fonts that no D was trained on."""
    del rng
    drawn = draw_glyphs(len(images), side=images.shape[-1], seed=SEED, characters=LATIN, fonts=HELD_OUT_FONTS)
    return torch.from_numpy(drawn)[:, None].expand(images.shape)


def overlaid(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Put two images into one: each pixel is the brighter one of both."""
    return torch.maximum(images, images[torch.randperm(len(images), generator=rng)])


def halves(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Empty one half of each image: upper, lower, left or right."""
    del rng
    halved, half = images.clone(), images.shape[-1] // 2
    halved[0::4, :, :half] = 0
    halved[1::4, :, half:] = 0
    halved[2::4, :, :, :half] = 0
    halved[3::4, :, :, half:] = 0
    return halved


def blank(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Make images that are empty."""
    del rng
    return torch.zeros_like(images)


def checkerboards(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Draw black and white fields of 1 to 7 pixels, at random positions."""
    n, _, height, width = images.shape
    field = torch.randint(1, 8, (n, 1, 1), generator=rng)
    phase = torch.randint(0, 14, (2, n, 1, 1), generator=rng)
    rows = (torch.arange(height)[None, :, None] + phase[0]) // field
    columns = (torch.arange(width)[None, None, :] + phase[1]) // field
    return ((rows + columns) % 2 * 255).to(torch.uint8)[:, None].expand(images.shape)


QUESTIONS: dict[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "noise": uniform_noise,
    "inverted": inverted,
    "shuffled": shuffled_pixels,
    "letters": letters,
    "overlaid": overlaid,
    "halves": halves,
    "blank": blank,
    "checkerboards": checkerboards,
}


def examine(
    scorer: Callable[[NDArray[np.uint8]], NDArray[np.float32]], held_out: torch.Tensor
) -> dict[str, NDArray[np.float32]]:
    """Return D's logits of each kind of picture, at most 2,000 of a kind.

    Args:
        scorer: a function that computes D's logits of images, such as a `Scorer`.
        held_out: real images, [N, C, H, W] uint8.
    """
    rng = torch.Generator().manual_seed(SEED)
    images = held_out[:PICTURES]
    return {name: scorer(channels_last(make(images, rng).contiguous())) for name, make in QUESTIONS.items()}


def auroc(positive: NDArray[np.float32], negative: NDArray[np.float32]) -> float:
    """Return the chance that a positive's score exceeds a negative's; ties count half (the Mann–Whitney statistic)."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).mean() / 2 / len(negative))
