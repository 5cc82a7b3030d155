"""Arrays as PNG bytes."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """A picture [H, W] or [H, W, 3] uint8 as PNG; the same bytes for the same pixels."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
