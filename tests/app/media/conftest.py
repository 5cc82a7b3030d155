"""Digits to upload."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.data.mnist import read_mnist


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return read_mnist()[1][:300]


@pytest.fixture
def seven() -> Image.Image:
    """A 7 in black ink on white paper, 200 × 300 pixels, off the middle."""
    image = Image.new("L", (200, 300), 255)
    ImageDraw.Draw(image).line([(30, 150), (110, 150), (60, 280)], fill=0, width=14, joint="curve")
    return image
