"""The conversion of grey levels to D's range, compared with the definition in float64."""

import numpy as np
import pytest
import torch

from models.images import from_uint8, to_float, to_uint8

LEVELS = np.arange(256, dtype=np.uint8)


def test_grey_levels_become_minus_one_to_one() -> None:
    pixels = torch.from_numpy(LEVELS.copy())
    signed = to_float(pixels)
    assert signed.dtype == torch.float32
    assert signed[[0, 255]].tolist() == [-1, 1]
    assert signed.numpy() == pytest.approx(LEVELS / 127.5 - 1, abs=1e-7)
    assert np.array_equal(pixels.numpy(), LEVELS)  # the caller's tensor is not changed


def test_the_shape_stays() -> None:
    assert to_float(torch.zeros(2, 3, 16, 16, dtype=torch.uint8)).shape == (2, 3, 16, 16)


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 16, 16, 3)])
def test_every_grey_level_comes_back(shape: tuple[int, ...]) -> None:
    images = np.resize(LEVELS, shape)
    floats = from_uint8(images)
    assert floats.shape == (1, 1 if len(shape) == 3 else 3, 16, 16)
    assert np.array_equal(to_uint8(floats), images)
