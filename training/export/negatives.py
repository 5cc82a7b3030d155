"""Pictures that are not real images, on which D is fine-tuned: noise, letters, halves of images and more.

Each function takes real images [N, C, H, W] float32 in [−1, 1] and a random number generator. It returns the same
number of pictures, of the same shape and range. They are made from the images or from random numbers, so they exist for
every data set.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional

from models.images import to_float
from training.data.glyphs import draw_glyphs
from training.data.variations import vary_all

Negative = Callable[[torch.Tensor, torch.Generator], torch.Tensor]

GLYPHS = 20_000
"""Number of letters and signs that are drawn once, as the pool from which `letters` takes its pictures."""


def noise(real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Make uniform noise: a third of the pictures is fine, a third coarse, and a third sparse."""
    n, channels, height, width = real.shape
    fine = torch.rand(n, channels, height, width, generator=rng) * 2 - 1
    coarse = torch.rand(n, channels, (height + 3) // 4, (width + 3) // 4, generator=rng) * 2 - 1
    coarse = functional.interpolate(coarse, size=(height, width), mode="bilinear")
    density = torch.rand(n, 1, 1, 1, generator=rng) * 0.4
    sparse = torch.where(torch.rand(real.shape, generator=rng) < density, fine.abs(), -1.0)
    kind = torch.randint(3, (n, 1, 1, 1), generator=rng)
    return torch.where(kind == 0, fine, torch.where(kind == 1, coarse, sparse))


def inverted(real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Invert the images: dark becomes bright, and bright becomes dark."""
    del rng
    return -real


def shuffled(real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Put the pixels of each image, or its squares of 4 × 4 or 7 × 7 pixels, into a random order."""
    height, width = real.shape[2:]
    sides = [side for side in (1, 4, 7) if height % side == 0 and width % side == 0]
    side = sides[int(torch.randint(len(sides), (), generator=rng))]
    tiles = functional.unfold(real, kernel_size=side, stride=side)
    order = torch.rand(len(real), 1, tiles.shape[2], generator=rng).argsort(dim=2)
    return functional.fold(tiles.gather(2, order.expand_as(tiles)), (height, width), kernel_size=side, stride=side)


def overlaid(real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Overlay two images, the second moved by up to a tenth of the side: take the brighter pixels, or the sum."""
    other = moved(real.roll(1, dims=0), rng, reach=real.shape[-1] // 10)
    added = (real + other + 1).clamp(-1, 1)
    return torch.where(torch.rand(len(real), 1, 1, 1, generator=rng) < 0.5, torch.maximum(real, other), added)


def halved(real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Erase 40 to 60 per cent of each image: its left, right, upper or lower part."""
    height, width = real.shape[2:]
    share = 0.4 + 0.2 * torch.rand(len(real), 1, 1, generator=rng)
    rows = (torch.arange(height) / height)[None, :, None]
    columns = (torch.arange(width) / width)[None, None, :]
    side = torch.randint(4, (len(real), 1, 1), generator=rng)
    along = torch.where(side < 2, rows, columns)
    hidden = torch.where(side % 2 == 0, along < share, along >= share)
    return real.masked_fill(hidden[:, None], -1.0)


def plain(real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Make pictures of one grey level, half of them black. A quarter has a few white dots, two on average."""
    n = len(real)
    level = torch.rand(n, 1, 1, 1, generator=rng) * 2 - 1
    level = torch.where(torch.rand(n, 1, 1, 1, generator=rng) < 0.5, -1.0, level)
    dust = torch.rand(real.shape, generator=rng) < 2 / real[0].numel()
    dusty = torch.rand(n, 1, 1, 1, generator=rng) < 0.25
    return torch.where(dust & dusty, 1.0, level.expand_as(real))


def patterned(real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Make checkerboards and stripes: fields of 1 pixel to half the side, any phase, and full contrast or less."""
    n, _, height, width = real.shape
    field = torch.randint(1, height // 2 + 1, (2, n, 1, 1), generator=rng)
    phase = torch.randint(0, height, (2, n, 1, 1), generator=rng)
    rows = (torch.arange(height)[None, :, None] + phase[0]) // field[0] % 2
    columns = (torch.arange(width)[None, None, :] + phase[1]) // field[0] % 2
    kind = torch.randint(4, (n, 1, 1), generator=rng)  # 0 and 1: checkerboard, 2: rows, 3: columns
    bright = torch.where(kind < 2, rows ^ columns, torch.where(kind == 2, rows, columns))
    contrast = torch.where(torch.rand(n, 1, 1, generator=rng) < 0.5, 1.0, torch.rand(n, 1, 1, generator=rng))
    return (bright * 2 * contrast - 1)[:, None].expand_as(real)


def dirty(real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Spoil the images: add much noise, blur them beyond recognition, or make them almost too pale to see."""
    n = len(real)
    amount = 0.4 + 0.6 * torch.rand(n, 1, 1, 1, generator=rng)
    under_noise = (real + amount * torch.randn(real.shape, generator=rng)).clamp(-1, 1)
    cloud = functional.avg_pool2d(functional.pad(real, [4] * 4, value=-1.0), kernel_size=9, stride=1)
    pale = (real + 1) * (0.05 + 0.25 * torch.rand(n, 1, 1, 1, generator=rng)) - 1
    kind = torch.randint(3, (n, 1, 1, 1), generator=rng)
    return torch.where(kind == 0, under_noise, torch.where(kind == 1, cloud, pale))


def moved(images: torch.Tensor, rng: torch.Generator, *, reach: int) -> torch.Tensor:
    """Move each image by up to `reach` pixels in each direction, and fill the uncovered pixels with −1."""
    n, _, height, width = images.shape
    shifts = torch.randint(-reach, reach + 1, (2, n, 1), generator=rng)
    padded = functional.pad(images, [reach] * 4, value=-1.0).permute(0, 2, 3, 1)
    rows = torch.arange(height) + reach + shifts[0]
    columns = torch.arange(width) + reach + shifts[1]
    taken = padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return taken.permute(0, 3, 1, 2)


def letters(side: int, *, seed: int, varied: bool = False, most: int | None = None) -> Negative:
    """Return a function that makes printed letters and signs, distorted like handwriting, from a pool drawn once.

    Args:
        side: height and width of a picture, in pixels.
        seed: seed of the pool.
        varied: whether the pool also holds each picture as other pens and scanners would draw it.
        most: the number of pictures that will be taken; the pool is no larger. None: unknown.
    """
    size = GLYPHS if most is None else max(1, min(GLYPHS, most))
    drawn = torch.from_numpy(draw_glyphs(size, side=side, seed=seed))[:, None]
    pool = torch.cat([drawn, vary_all(drawn, seed=seed + 1)]) if varied else drawn

    def draw(real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        chosen = pool[torch.randint(len(pool), (len(real),), generator=rng)]
        reach = torch.randint(0, real.shape[-1] // 10 + 1, (), generator=rng)
        return moved(to_float(chosen).expand(real.shape), rng, reach=int(reach))

    return draw


class WeightedNegative(NamedTuple):
    """A function that makes pictures, and its weight: how often it is chosen relative to the others."""

    make: Negative
    weight: float


LETTERS_WEIGHT = 14.0

FROM_IMAGES = (
    WeightedNegative(noise, 1.0),
    WeightedNegative(inverted, 0.5),
    WeightedNegative(shuffled, 1.0),
    WeightedNegative(overlaid, 12.0),
    WeightedNegative(halved, 4.0),
    WeightedNegative(plain, 2.0),
    WeightedNegative(patterned, 1.0),
    WeightedNegative(dirty, 2.0),
)
"""The kinds that need no pool. A kind that is harder to distinguish from real images has a larger weight."""
