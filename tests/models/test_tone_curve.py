"""The tone curve: a table of grey levels, how it is found, and its inverse."""

import numpy as np
import pytest

from harness.tiny_models import STEEP
from models.tone_curve import ToneCurve, match_histograms

IDENTITY = tuple(range(256))


@pytest.mark.parametrize("shape", [(3, 5, 5), (2, 4, 4, 3), (7,)])
def test_each_pixel_is_replaced(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    before = images.copy()
    assert np.array_equal(STEEP(images), np.array(STEEP.levels)[images])
    assert STEEP(images).dtype == np.uint8
    assert STEEP(images).flags.writeable
    assert np.array_equal(STEEP(images.T), STEEP(images).T)  # also if the array is not contiguous
    assert np.array_equal(images, before)


@pytest.mark.parametrize(
    "levels",
    [IDENTITY[:-1], (*IDENTITY, 255), (-1, *IDENTITY[1:]), (*IDENTITY[:-1], 256), (1, 0, *IDENTITY[2:]), ()],
    ids=["too few", "too many", "below 0", "above 255", "decreasing", "none"],
)
def test_other_tables_are_refused(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a tone curve is 256 grey levels, 0 to 255, that never decrease"):
        ToneCurve(levels)


def test_the_inverse_leads_back_to_the_same_level_or_to_the_nearest_one() -> None:
    levels = np.arange(256, dtype=np.uint8)
    back = STEEP(STEEP.inverse(levels)).astype(int)
    given = np.unique(STEEP.levels)
    assert np.array_equal(np.abs(back - levels), np.abs(given - levels[:, None]).min(axis=1))
    assert STEEP.inverse(np.zeros(1, dtype=np.uint8))[0] == 32  # the middle of the levels 0 to 64, which become 0


def test_samples_get_the_histogram_of_the_real_images() -> None:
    """A haze becomes empty again. No level is drawn more often than in real images by more than the haze's own step."""
    rng = np.random.default_rng(2)
    real = np.where(rng.random(100_000) < 0.8, 0, rng.integers(1, 256, 100_000)).astype(np.uint8)
    hazy = np.clip(real * 0.9 + rng.integers(0, 8, real.size), 0, 255).astype(np.uint8)
    curve = match_histograms(hazy.reshape(10, 100, 100), real)
    seen, wanted = (np.cumsum(np.bincount(image, minlength=256)) / real.size for image in (curve(hazy), real))
    assert (curve(hazy) == 0).mean() == pytest.approx(0.8, abs=0.01)
    assert np.abs(seen - wanted).max() < 0.01
    assert (hazy == 0).mean() < 0.2


def test_equal_histograms_need_no_change() -> None:
    images = np.random.default_rng(3).integers(0, 256, 50_000, dtype=np.uint8)
    assert match_histograms(images, images).levels == IDENTITY


def test_one_grey_level_only() -> None:
    black, white = np.zeros(9, dtype=np.uint8), np.full(9, 255, dtype=np.uint8)
    assert match_histograms(black, white)(black).tolist() == white.tolist()
    assert match_histograms(white, black)(white).tolist() == black.tolist()


def test_no_pixels() -> None:
    nothing, one = np.zeros((0, 4), dtype=np.uint8), np.zeros(1, dtype=np.uint8)
    for generated, real in ((nothing, one), (one, nothing)):
        with pytest.raises(ValueError, match="no pixels"):
            match_histograms(generated, real)
