"""Overlays: the hue and the alpha of a gradient, and whether they can be seen."""

import numpy as np
import pytest

from app.media.saliency_overlay import LOWERS, RAISES, overlay_of


def test_hue_is_the_sign_and_alpha_the_magnitude() -> None:
    overlay = overlay_of(np.array([[2.0, -1.0], [0.0, -2.0], [0.5, 0.003]], dtype=np.float32))
    assert overlay.dtype == np.uint8
    assert overlay.tolist() == [
        [[*RAISES, 255], [*LOWERS, 128]],
        [[0, 0, 0, 0], [*LOWERS, 255]],
        [[*RAISES, 64], [0, 0, 0, 0]],
    ]


def test_no_gradient_is_nothing_to_see() -> None:
    assert (overlay_of(np.zeros((28, 28), dtype=np.float32)) == 0).all()
    assert (overlay_of(-np.zeros((28, 28), dtype=np.float32)) == 0).all()


@pytest.mark.parametrize("scale", [1e-45, 1e-38, 1.0, 3e38])
def test_any_scale(scale: float) -> None:
    overlay = overlay_of(np.array([[scale, -scale]], dtype=np.float32))
    assert overlay.tolist() == [[[*RAISES, 255], [*LOWERS, 255]]]


def test_values_that_are_not_finite() -> None:
    overlay = overlay_of(np.array([[np.nan, np.inf, -np.inf, 3e38]], dtype=np.float32))
    assert overlay.tolist() == [[[0, 0, 0, 0], [*RAISES, 255], [*LOWERS, 255], [0, 0, 0, 0]]]
    overlay = overlay_of(np.array([[np.nan, -3.0]], dtype=np.float32))
    assert overlay.tolist() == [[[0, 0, 0, 0], [*LOWERS, 255]]]


@pytest.mark.parametrize("hue", [RAISES, LOWERS])
def test_hues_stand_out_from_black_and_from_white(hue: tuple[int, int, int]) -> None:
    """The contrast of WCAG 2.2, success criterion 1.4.11: at least 3."""
    values = np.array(hue) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    assert (luminance + 0.05) / 0.05 > 3
    assert 1.05 / (luminance + 0.05) > 3
