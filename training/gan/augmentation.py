"""Differentiable augmentation: D sees real and fake images through the same random changes.

D then cannot learn single training images by heart, and the gradient still passes through the changes to G: Zhao et
al. 2020 ("Differentiable augmentation for data-efficient GAN training", arXiv 2006.10738). G does not learn to draw
changed images, as long as D sees enough unchanged ones: Karras et al. 2020 (arXiv 2006.06676), section 2.2. All changes
can be differentiated twice, as R1 and R2 need.

A recipe names its changes; each happens to each image with the same probability, and always in this order:

mirror       the image is mirrored, left for right; of the images that are chosen, every second one
affine       the image is turned by up to `TURN` and scaled by up to `SCALE`, about its centre
colour       brightness, contrast and (RGB only) saturation change, each with the probability
translation  the image is moved by whole pixels
cutout       a square is hidden

`training.gan.adaptive_augmentation` adapts the probability during training.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch.nn import functional

from models.networks.batch_part import WHOLE, Part
from training.recipe import AugmentationName

SHIFT = 1 / 14
"""Largest move, as a share of the image's side: 2 pixels of 28."""

CUTOUT = 1 / 4
"""Side of the hidden square, as a share of the image's side: 7 pixels of 28."""

TURN = math.radians(10)
"""Largest angle of a turn, in radians."""

SCALE = 1.15
"""Largest factor of size; the smallest is 1/`SCALE`."""

BRIGHTNESS = 0.5
"""Largest change of brightness, of a range from −1 to 1 (Zhao et al. 2020)."""

CONTRAST = (0.5, 1.5)
"""Factors of the differences from the image's mean (Zhao et al. 2020)."""

SATURATION = (0.0, 2.0)
"""Factors of the differences from each pixel's grey (Zhao et al. 2020)."""

BACKGROUND = -1.0
"""The value of pixels that come from outside the image or are hidden: black."""


class _Draws:
    """Random numbers for each image of this process; they are drawn for the whole batch."""

    def __init__(self, images: torch.Tensor, probability: float, rng: torch.Generator, part: Part) -> None:
        self.probability = probability
        self._whole, self._rng, self._part, self._device = part.whole(len(images)), rng, part, images.device

    def uniform(self, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Return a number in [low, high) for each image: [N] float32."""
        return self._part.of(torch.rand(self._whole, generator=self._rng, device=self._device)) * (high - low) + low

    def happens(self, share: float = 1.0) -> torch.Tensor:
        """Return which images are changed, [N] bool: each with `share` times the probability."""
        return self.uniform() < self.probability * share

    def pair(self) -> torch.Tensor:
        """Return two numbers in [0, 1) for each image: [2, N] float32."""
        return self._part.of(torch.rand(2, self._whole, generator=self._rng, device=self._device), dim=1)

    def shifts(self, reach: int) -> torch.Tensor:
        """Return two whole numbers from −reach to reach for each image: [2, N] int64."""
        drawn = torch.randint(-reach, reach + 1, (2, self._whole), generator=self._rng, device=self._device)
        return self._part.of(drawn, dim=1)


def augment(
    images: torch.Tensor,
    *,
    probability: float,
    rng: torch.Generator,
    part: Part = WHOLE,
    names: Sequence[AugmentationName] = ("translation", "cutout"),
) -> torch.Tensor:
    """Change images at random: [N, C, H, W] in [−1, 1] → the same shape; only "colour" may leave the range.

    Args:
        images: the images; gradients pass through the changes to them.
        probability: the probability of each change, for each image.
        rng: the source of the random changes.
        part: the rows of the whole batch that `images` are; the changes are drawn for the whole batch.
        names: the changes; their order does not matter.
    """
    draws = _Draws(images, probability, rng, part)
    for name, change in _CHANGES.items():
        if name in names:
            images = change(images, draws)
    return images


def _mirror(images: torch.Tensor, draws: _Draws) -> torch.Tensor:
    return torch.where(_each(draws.happens(share=0.5)), images.flip(3), images)


def _turn_and_scale(images: torch.Tensor, draws: _Draws) -> torch.Tensor:
    happens = draws.happens()
    angles = draws.uniform(-TURN, TURN) * happens
    scales = torch.exp(draws.uniform(-math.log(SCALE), math.log(SCALE)) * happens)
    return torch.where(_each(happens), resample(images, angles, scales), images)


def resample(images: torch.Tensor, angles: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Turn and scale images about their centre, with bilinear interpolation.

    PyTorch's `grid_sample` cannot be differentiated twice; this function gathers the four neighbours of each point.

    Args:
        images: [N, C, H, W].
        angles: [N], in radians; a positive one turns the image's right side downwards.
        scales: [N], the factors of size.

    Returns:
        [N, C, H, W]; points from outside the image are `BACKGROUND`.
    """
    n, channels, height, width = images.shape
    rows = torch.arange(height, device=images.device)[:, None] - (height - 1) / 2
    columns = torch.arange(width, device=images.device)[None, :] - (width - 1) / 2
    cosine, sine = (_each(f(angles) / scales)[:, 0] for f in (torch.cos, torch.sin))
    from_rows = cosine * rows - sine * columns + (height - 1) / 2
    from_columns = sine * rows + cosine * columns + (width - 1) / 2
    above = (images - BACKGROUND).flatten(2)  # so that points outside are 0
    total = torch.zeros_like(above)
    for row in (from_rows.floor(), from_rows.floor() + 1):
        for column in (from_columns.floor(), from_columns.floor() + 1):
            weight = (1 - (from_rows - row).abs()) * (1 - (from_columns - column).abs())
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long().flatten(1)
            pixels = above.gather(2, index[:, None].expand(-1, channels, -1))
            total = total + pixels * (weight * inside).flatten(1)[:, None]
    return total.reshape(n, channels, height, width) + BACKGROUND


def _change_colour(images: torch.Tensor, draws: _Draws) -> torch.Tensor:
    images = images + _each(draws.uniform(-BRIGHTNESS, BRIGHTNESS) * draws.happens())
    if images.shape[1] == 3:
        images = _stretched(images, images.mean(dim=1, keepdim=True), draws, SATURATION)
    return _stretched(images, images.mean(dim=(1, 2, 3), keepdim=True), draws, CONTRAST)


def _stretched(images: torch.Tensor, centre: torch.Tensor, draws: _Draws, factors: tuple[float, float]) -> torch.Tensor:
    """Multiply the differences from `centre` by a random factor, where the change happens."""
    factor = draws.uniform(*factors)
    return centre + (images - centre) * _each(torch.where(draws.happens(), factor, 1.0))


def _move(images: torch.Tensor, draws: _Draws) -> torch.Tensor:
    n, _, height, width = images.shape
    reach = max(1, round(height * SHIFT))
    shifts = draws.shifts(reach) * draws.happens()
    padded = functional.pad(images, [reach] * 4, value=BACKGROUND)
    rows = torch.arange(height, device=images.device) + reach + shifts[0, :, None]
    columns = torch.arange(width, device=images.device) + reach + shifts[1, :, None]
    index = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut_out(images: torch.Tensor, draws: _Draws) -> torch.Tensor:
    _, _, height, width = images.shape
    half = max(1, round(height * CUTOUT)) / 2
    centres = draws.pair()[:, :, None]
    rows = (torch.arange(height, device=images.device) + 0.5 - centres[0] * height).abs() < half
    columns = (torch.arange(width, device=images.device) + 0.5 - centres[1] * width).abs() < half
    hidden = (rows[:, :, None] & columns[:, None, :])[:, None] & _each(draws.happens())
    return images.masked_fill(hidden, BACKGROUND)


def _each(numbers: torch.Tensor) -> torch.Tensor:
    """Return one number for each image, [N], in a shape that fits images: [N, 1, 1, 1]."""
    return numbers[:, None, None, None]


_Change: TypeAlias = Callable[[torch.Tensor, _Draws], torch.Tensor]

_CHANGES: dict[AugmentationName, _Change] = {
    "mirror": _mirror,
    "affine": _turn_and_scale,
    "colour": _change_colour,
    "translation": _move,
    "cutout": _cut_out,
}
"""The changes by name, in the order in which they are applied."""
