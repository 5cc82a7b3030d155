"""Images: their shape, and the conversion between the networks' values and the bytes of a picture.

The networks use `[N, C, H, W] float32 in [−1, 1]`. Files and the API use `[N, H, W] uint8` (grey) or
`[N, H, W, 3] uint8` (RGB).
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

MIN_SIDE = 16
MAX_SIDE = 128


class ImageShape(BaseModel):
    """The shape of one image: square, 16 to 128 pixels a side, grey (1 channel) or RGB (3)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Literal[1, 3] = 1
    height: int = Field(default=28, ge=MIN_SIDE, le=MAX_SIDE)
    width: int = Field(default=28, ge=MIN_SIDE, le=MAX_SIDE)

    @model_validator(mode="after")
    def _is_square(self) -> "ImageShape":
        if self.height != self.width:
            raise ValueError(f"images must be square, not {self.height} × {self.width}")
        return self

    @property
    def chw(self) -> tuple[int, int, int]:
        """(channels, height, width), the order of the networks."""
        return (self.channels, self.height, self.width)

    @property
    def array(self) -> tuple[int, ...]:
        """The shape of one image's uint8 array: (height, width) or (height, width, 3)."""
        return (self.height, self.width) if self.channels == 1 else (self.height, self.width, 3)

    @property
    def pixels(self) -> int:
        """Number of values in one image: channels · height · width."""
        return self.channels * self.height * self.width


def to_uint8(images: torch.Tensor) -> NDArray[np.uint8]:
    """Convert [N, C, H, W] float in [−1, 1] to [N, H, W] or [N, H, W, 3] uint8: −1 becomes 0, and 1 becomes 255.

    Values are rounded to the nearest grey level; those outside the range are clipped.
    """
    pixels = np.clip(images.float().numpy(force=True), -1, 1)
    with np.errstate(invalid="ignore"):  # a NaN becomes an arbitrary pixel
        return to_uint8_in_place(pixels)


def to_uint8_in_place(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Do the same as `to_uint8` for [N, C, H, W] within [−1, 1], but overwrite the array, which saves copies."""
    pixels += 1  # NumPy takes a third of PyTorch's time here
    pixels *= 127.5
    np.rint(pixels, out=pixels)
    return _channels_last(pixels.astype(np.uint8))


def from_uint8(images: NDArray[np.uint8]) -> torch.Tensor:
    """Convert [N, H, W] or [N, H, W, 3] uint8 to [N, C, H, W] float32 in [−1, 1]: the inverse of `to_uint8`."""
    return to_float(channels_first(images))


def to_float(pixels: torch.Tensor) -> torch.Tensor:
    """Convert grey levels 0 … 255, uint8 of any shape, to the networks' values, float32 in [−1, 1]."""
    return pixels.to(torch.float32).div_(127.5).sub_(1)


def check_images(images: NDArray[np.uint8], shape: ImageShape) -> None:
    """Check that images are [n, H, W] (grey) or [n, H, W, 3] (RGB) uint8 of this shape, n ≥ 1.

    Raises:
        ValueError: the images have another shape or dtype.
    """
    if images.dtype != np.uint8 or images.shape[1:] != shape.array or images.shape[0] < 1:
        wanted = ", ".join(map(str, shape.array))
        raise ValueError(f"images must be [n, {wanted}] uint8, n ≥ 1, not {list(images.shape)} {images.dtype}")


def channels_last(images: torch.Tensor) -> NDArray[np.uint8]:
    """Convert [N, C, H, W] uint8 to [N, H, W] or [N, H, W, 3] uint8, contiguous, on the CPU."""
    return _channels_last(images.numpy(force=True))


def _channels_last(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1))


def channels_first(images: NDArray[np.uint8]) -> torch.Tensor:
    """Convert [N, H, W] or [N, H, W, 3] uint8 to [N, C, H, W] uint8, contiguous: the inverse of `channels_last`."""
    tensor = torch.from_numpy(np.require(images, requirements=["C", "W"]))  # a read-only array is copied
    return tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()
