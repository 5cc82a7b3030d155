"""Features of pictures that are not digits: colours at 8 × 8 pixels, and the energy of finer detail, by Haar wavelets.

An average hides detail: a checkerboard of single pixels has the same averages as no checkerboard. So each halving of a
picture down to about 8 × 8 pixels gives, beside the averages of 2 × 2 pixels, the three differences that they lose:
Haar's wavelet coefficients (Mallat 1989, "A theory for multiresolution signal decomposition"). Their energy in each of
4 × 4 parts of the picture says how much detail of this size and direction is there. Noise and stripes have far more of
it than photographs, and blurred or blank pictures far less. The logarithm makes both differences large.
"""

import torch
from torch.nn import functional

NAME = "pixels and wavelet energies"
COLOUR_SIDE = 8
PARTS_SIDE = 4
SMALLEST_DETAIL = 1 / 255
"""One grey level, in [0, 1]: less detail than this counts as no detail."""

WEIGHT = 0.25
"""Weight of the logarithms beside the colours: both then differ by about 0.25 between photographs."""


def wavelet_features(images: torch.Tensor) -> torch.Tensor:
    """Return the features of [N, C, H, W] float32 in [0, 1]: [N, F] float32; F depends on C and on the side."""
    planes = _opponent_colours(images)
    features = [functional.adaptive_avg_pool2d(planes, COLOUR_SIDE).flatten(1)]
    while planes.shape[-1] > COLOUR_SIDE:
        planes, details = _halve(planes)
        for detail in details:
            energy = functional.adaptive_avg_pool2d(detail.square(), PARTS_SIDE)
            features.append(WEIGHT * (energy + SMALLEST_DETAIL**2).sqrt().log().flatten(1))
    return torch.cat(features, dim=1)


def _opponent_colours(images: torch.Tensor) -> torch.Tensor:
    """Convert red, green and blue to brightness and two differences; noise of colours is rare in photographs."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(dim=1)
    return torch.stack([(red + green + blue) / 3, (red - blue) / 2, (red - 2 * green + blue) / 4], dim=1)


def _halve(planes: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Return the averages of 2 × 2 pixels, and the differences along rows, along columns and across."""
    if planes.shape[-1] % 2:
        planes = functional.pad(planes, (0, 1, 0, 1), mode="replicate")
    a, b = planes[..., ::2, ::2], planes[..., ::2, 1::2]
    c, d = planes[..., 1::2, ::2], planes[..., 1::2, 1::2]
    return (a + b + c + d) / 4, ((a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2)
