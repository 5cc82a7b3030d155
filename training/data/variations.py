"""Variations of real digits: the same digits as other pens, hands, scanners and programs would have drawn them.

MNIST's digits come from one kind of form, scanner and program. Its strokes have similar widths, its edges are equally
soft, and its ink is always 255. A digit that somebody else wrote differs in these respects and is real nevertheless, so
D is fine-tuned on variations as real images (`training.export.discriminator_finetuning`), and D's score is calibrated
on variations of held-out digits (`training.evaluation.evaluate`).

The method: a digit is drawn three times as large, slanted, turned, stretched and bent a little. Its ink becomes a mask,
and the mask a signed distance to the edge of the ink. Adding a number to the distance makes all strokes thicker or
thinner; adding smooth noise makes their edges rough. A steep or a flat ramp over the distance makes hard or soft edges.
The digit is then scaled to MNIST's box and averaged over areas, as MNIST and the service's preparation of photos do.
"""

from typing import NamedTuple

import torch
from torch.nn import functional

FINE = 3
"""Digits are changed at this multiple of their size."""

BOX = 20 / 28
"""The longer side of a digit, as a share of the picture's side, as in MNIST."""

_REACH = 7  # distances to the edge are exact up to this number of fine pixels
_INK = 0.5  # the ink is where the strength is above this
_BLOCK = 100  # images at a time in `vary_all`


class _Change(NamedTuple):
    """The random numbers that change n digits, each [n, 1, 1, 1] float32. Lengths are in pixels of 28."""

    width: torch.Tensor
    softness: torch.Tensor
    roughness: torch.Tensor
    size: torch.Tensor
    off_centre: torch.Tensor
    on_the_grid: torch.Tensor
    keeps_its_edges: torch.Tensor


class _Random(NamedTuple):
    """Random numbers for n images, each [n, 1, 1, 1]."""

    n: int
    rng: torch.Generator

    def uniform(self, low: float, high: float) -> torch.Tensor:
        """Return float32 numbers from `low` to `high`."""
        return low + (high - low) * torch.rand(self.n, 1, 1, 1, generator=self.rng)

    def chance(self, share: float) -> torch.Tensor:
        """Return True for about this share of the images."""
        return torch.rand(self.n, 1, 1, 1, generator=self.rng) < share


def vary_all(digits: torch.Tensor, *, seed: int) -> torch.Tensor:
    """Vary each digit once: [N, 1, H, W] uint8 → [N, 1, H, W] uint8. The same seed gives the same variations."""
    if not len(digits):
        return digits
    rng = torch.Generator().manual_seed(seed)
    blocks = [vary(block.float() / 127.5 - 1, rng) for block in torch.split(digits, _BLOCK)]
    return ((torch.cat(blocks) + 1) * 127.5).round().to(torch.uint8)


@torch.no_grad()
def vary(digits: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Vary each digit in its own way.

    Args:
        digits: bright ink on black, [N, 1, H, W] float32 in [−1, 1]; H = W.
        rng: the source of all random numbers.

    Returns:
        [N, 1, H, W] float32 in [−1, 1], whole grey levels of 0 … 255.
    """
    unit = digits.shape[-1] / 28
    change = _draw_change(len(digits), rng)
    large = _redraw((digits + 1) / 2, rng)
    ink = torch.where(change.keeps_its_edges, large, _repen(large, change, unit, rng))
    small = functional.avg_pool2d(_place(ink, change), FINE)
    return (_rescan(small, rng) * 255).round() / 127.5 - 1


def _draw_change(n: int, rng: torch.Generator) -> _Change:
    """Draw the numbers that say how each of n digits changes."""
    numbers = _Random(n, rng)
    # Most programs, the service's among them, give strokes of about 2.6 pixels and a digit of exactly 20.
    width = torch.where(numbers.chance(0.5), numbers.uniform(2.3, 3.1), numbers.uniform(1.5, 4.4))
    softness = torch.where(numbers.chance(0.6), numbers.uniform(0.25, 0.8), numbers.uniform(0.1, 1.6))
    roughness = torch.where(numbers.chance(0.6), torch.zeros(n, 1, 1, 1), numbers.uniform(0.0, 0.5))
    size = torch.where(numbers.chance(0.75), torch.ones(n, 1, 1, 1), numbers.uniform(0.88, 1.08))
    on_the_grid, keeps_its_edges = numbers.chance(0.6), numbers.chance(0.2)
    off_centre = torch.where(on_the_grid, 0.0, numbers.uniform(0.0, 1.0)) * (
        torch.rand(n, 1, 1, 2, generator=rng) * 2 - 1
    )
    return _Change(width, softness, roughness, size, off_centre, on_the_grid, keeps_its_edges)


def _redraw(ink: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Slant, turn, stretch and bend the digits, and enlarge them `FINE` times: [N, 1, H, W] in [0, 1]."""
    n, _, height, width = ink.shape

    def either_way(largest: float) -> torch.Tensor:
        """Return small numbers more often than large ones."""
        return (torch.rand(2, n, generator=rng).mean(dim=0) * 2 - 1) * largest

    angle, slant, aspect = either_way(0.24), either_way(0.35), either_way(0.25)
    row = _positions(height * FINE)[None, :, None]
    column = _positions(width * FINE)[None, None, :]

    def bend(along: torch.Tensor) -> torch.Tensor:
        """Return a wave of up to 1.5 periods: displacements that change smoothly along rows or columns."""
        strength, periods, phase = (torch.rand(n, 1, 1, generator=rng) for _ in range(3))
        return 0.09 * strength * torch.sin(torch.pi * (1.5 * periods * along + 2 * phase))

    a, s, wide, high = (x[:, None, None] for x in (angle, slant, 1 + aspect, 1 - aspect))
    x = a.cos() * wide * column + (s - a.sin()) * row + bend(row)
    y = a.sin() * column + a.cos() * high * row + bend(column)
    return functional.grid_sample(ink, torch.stack([x, y], dim=-1), mode="bicubic", align_corners=False).clamp(0, 1)


def _positions(length: int) -> torch.Tensor:
    """Return the centres of `length` pixels in grid_sample's unit: [length] float32 in (−1, 1)."""
    return (torch.arange(length) + 0.5) * (2 / length) - 1


def _repen(ink: torch.Tensor, change: _Change, unit: float, rng: torch.Generator) -> torch.Tensor:
    """Give the strokes other widths and edges: [N, 1, h, w] float32 in [0, 1] → the same."""
    fine = FINE * unit
    mask = ink > _INK
    distance = _signed_distance(mask)
    inside = distance.clamp(min=0).sum(dim=(1, 2, 3), keepdim=True) / mask.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
    width = 4 * inside  # a stroke of width w has a mean distance of w/4 to its edges
    grown = torch.maximum((change.width * fine - width) / 2, -0.3 * width).clamp(max=0.9 * fine)
    n, _, height, width_px = ink.shape
    noise = torch.randn(n, 1, height // (2 * FINE), width_px // (2 * FINE), generator=rng)
    noise = functional.interpolate(noise, size=(height, width_px), mode="bilinear")
    edge = distance + grown + noise * change.roughness * fine
    return (edge / (change.softness * fine) + 0.5).clamp(0, 1)


def _signed_distance(mask: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean distance to the edge of a mask [N, 1, h, w], positive inside, at most `_REACH` pixels.

    The squared distance is a minimum over columns of a minimum over rows (Felzenszwalb and Huttenlocher 2012).
    """
    far = _REACH**2
    squared = torch.cat([mask, ~mask], dim=1).to(torch.uint8) * far  # at most 49 + 36, so 8 bits are enough
    for dim in (2, 3):
        nearest = squared.clone()
        length = squared.shape[dim]
        for shift in range(1, _REACH):
            head, tail = nearest.narrow(dim, shift, length - shift), nearest.narrow(dim, 0, length - shift)
            torch.minimum(head, squared.narrow(dim, 0, length - shift) + shift**2, out=head)
            torch.minimum(tail, squared.narrow(dim, shift, length - shift) + shift**2, out=tail)
        squared = nearest
    to_paper, to_ink = squared.float().sqrt().chunk(2, dim=1)
    return torch.where(mask, to_paper - 0.5, 0.5 - to_ink)  # the edge lies between two pixels


def _place(ink: torch.Tensor, change: _Change) -> torch.Tensor:
    """Scale the digits to MNIST's box and centre their ink as MNIST does: [N, 1, h, w] in [0, 1] → the same.

    MNIST's box is cut at whole pixels, and its centre of mass is brought to the middle by whole pixels. Some digits get
    this, and some any position near it.
    """
    n, _, _, side = ink.shape
    at = torch.arange(side, dtype=torch.float32)
    low, high = [], []
    for across in (2, 3):  # columns, then rows
        filled = ink.amax(dim=across)[:, 0] > _INK
        low.append(torch.where(filled, at, float(side)).amin(dim=1))
        high.append(torch.where(filled, at, -1.0).amax(dim=1) + 1)
    first, last = torch.stack(low, dim=1), torch.stack(high, dim=1)
    longest = (last - first).amax(dim=1, keepdim=True).clamp(min=1)
    scale = BOX * side * change.size[:, 0, 0] / longest  # a digit's size after by before
    total = ink.sum(dim=(1, 2, 3)).clamp(min=1e-6)[:, None]
    mass = torch.stack([(ink.sum(dim=dim)[:, 0] * (at + 0.5)).sum(dim=1) for dim in (2, 3)], dim=1) / total
    # The pixel p of the result shows the pixel (p − to) / scale of the ink.
    to = side / 2 - mass * scale
    corner = first * scale + to
    on_the_grid = (corner / FINE).round() * FINE - corner
    to = to + torch.where(change.on_the_grid[:, 0, 0], on_the_grid, change.off_centre[:, 0, 0] * side / 28)
    centre = ((side / 2 - to) / scale) / (side / 2) - 1  # in affine_grid's unit, half a side
    at_fine = _positions(side) / scale + centre.T[..., None]  # [2, n, side]
    x, y = at_fine[0][:, None, :].expand(n, side, side), at_fine[1][:, :, None].expand(n, side, side)
    return functional.grid_sample(ink, torch.stack([x, y], dim=-1), align_corners=False)


def _rescan(ink: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Blur, lighten, roughen or quantise the digits, as a scanner or a program does: [N, 1, H, W] in [0, 1]."""
    numbers = _Random(len(ink), rng)
    side = numbers.uniform(0.0, 0.18)  # the kernel (side, 1 − 2·side, side) along both axes
    middle = 1 - 2 * side
    blurred = ink
    for dim in (2, 3):
        padded = functional.pad(blurred, [1, 1, 0, 0] if dim == 3 else [0, 0, 1, 1])
        length = ink.shape[dim]
        blurred = middle * padded.narrow(dim, 1, length) + side * (
            padded.narrow(dim, 0, length) + padded.narrow(dim, 2, length)
        )
    ink = torch.where(numbers.chance(0.35), blurred, ink)
    ink = torch.where(numbers.chance(0.4), (ink.clamp(min=1e-6).log() * numbers.uniform(-0.7, 0.6).exp()).exp(), ink)
    grain = 1 - numbers.uniform(0.0, 0.4) * torch.rand(ink.shape, generator=rng)
    ink = torch.where(numbers.chance(0.15), ink * grain, ink)
    ink = torch.where(
        numbers.chance(0.25), ink * numbers.uniform(0.7, 1.0), (ink * numbers.uniform(1.0, 1.15)).clamp(max=1)
    )
    levels = torch.where(numbers.chance(0.5), 1.0, torch.floor(numbers.uniform(2.0, 16.0)))
    return torch.where(numbers.chance(0.12), (ink * levels).round() / levels, ink)
