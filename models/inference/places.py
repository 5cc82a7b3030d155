"""The last transposed convolution of a G, place by place of its kernel.

A transposed convolution of kernel 4, stride 2 and padding 1 with one map or three is quick in two steps: a linear layer
computes each pixel's products with all 4 × 4 places of the kernel, and then each pixel of the result adds the four that
fall on it.
"""

import torch

from models.networks.quantised import kernel_by_parity


def kernel_by_place(weight: torch.Tensor) -> torch.Tensor:
    """Arrange a kernel, [channels, maps, 4, 4], as the weights of the linear layer: [maps · 16, channels].

    The halves of rows and columns come before their parities, because whole halves are added.
    """
    channels, maps = weight.shape[:2]
    return kernel_by_parity(weight).permute(1, 2, 4, 3, 5, 0).reshape(16 * maps, channels).contiguous()


def add_places(places: torch.Tensor, *, maps: int) -> torch.Tensor:
    """Add the products of the pixels of an image with a border of one pixel.

    Args:
        places: [N, H + 2, W + 2, maps · 16] float32, contiguous: the results of the linear layer.
        maps: number of maps of the result.

    Returns:
        [N, maps, 2H, 2W] float32. It may be a view that is not contiguous.
    """
    n, height, width = places.shape[:3]
    places = places.view(n, height, width, maps, 2, 2, 4)
    rows = places[:, :-1, ..., 1, :, :] + places[:, 1:, ..., 0, :, :]
    sums = rows[:, :, :-1, ..., 1, :] + rows[:, :, 1:, ..., 0, :]
    pairs = sums.view(torch.int64).permute(0, 3, 1, 4, 2)  # of pixels side by side, to copy fewer elements
    pixels = pairs.reshape(n, maps, 2 * height - 2, width - 1).view(torch.float32)
    return pixels[..., 1:-1, 1:-1]
