"""The changes that a recipe can name besides moves and hidden squares, against NumPy's computation."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.gan.augmentation import BRIGHTNESS, CONTRAST, SATURATION, SCALE, TURN, augment, resample
from training.recipe import AugmentationName

ALL: tuple[AugmentationName, ...] = ("mirror", "affine", "colour", "translation", "cutout")


def pictures(n: int, *, channels: int = 3, side: int = 16, seed: int = 1) -> torch.Tensor:
    """[n, channels, side, side] float64 in [−1, 1]."""
    shape = (n, channels, side, side)
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def changed(images: torch.Tensor, *names: AugmentationName, probability: float = 1.0, seed: int = 0) -> torch.Tensor:
    return augment(images, probability=probability, rng=torch.Generator().manual_seed(seed), names=names)


def test_the_ranges_are_what_the_docstrings_say() -> None:
    assert (BRIGHTNESS, CONTRAST, SATURATION) == (0.5, (0.5, 1.5), (0.0, 2.0))
    assert (round(math.degrees(TURN)), SCALE) == (10, 1.15)


@pytest.mark.parametrize("channels", [1, 3])
def test_with_probability_0_all_changes_change_nothing(channels: int) -> None:
    images = pictures(20, channels=channels)
    seen = changed(images, *ALL, probability=0.0)
    assert torch.allclose(seen, images, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("probability", "share"), [(1.0, 0.5), (0.6, 0.3)])
def test_every_second_chosen_image_is_mirrored(probability: float, share: float) -> None:
    images = pictures(3000, channels=1, side=4)
    seen = changed(images, "mirror", probability=probability)
    mirrored = (seen == images.flip(3)).all(dim=(1, 2, 3))
    assert ((seen == images).all(dim=(1, 2, 3)) | mirrored).all()
    assert mirrored.double().mean() == pytest.approx(share, abs=0.04)  # the standard error is 0.009


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.15, 1.0), (0.0, 1.15), (-0.17, 0.87), (0.1, 1.1)])
def test_a_turn_takes_each_pixel_from_where_a_rotation_matrix_says(angle: float, scale: float) -> None:
    image = pictures(1, channels=1, side=15)
    seen = resample(image, torch.tensor([angle]).double(), torch.tensor([scale]).double())[0, 0].numpy()
    # In coordinates x to the right and y downwards, the image is turned by `angle` and then scaled, about (7, 7).
    forward = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    backward = np.linalg.inv(forward)
    for y in range(15):
        for x in range(15):
            from_x, from_y = backward @ (x - 7, y - 7) + 7
            assert seen[y, x] == pytest.approx(bilinear(image[0, 0].numpy(), from_x, from_y), abs=2e-6)  # float32


def bilinear(image: NDArray[np.float64], x: float, y: float) -> float:
    """The value at (x, y) on the surface between the pixels of an image that continues with −1."""
    padded = np.pad(image, 20, constant_values=-1.0)
    left, top = math.floor(x), math.floor(y)
    a, b = x - left, y - top
    corner = padded[top + 20 : top + 22, left + 20 : left + 22]
    return float(np.array([1 - b, b]) @ corner @ np.array([1 - a, a]))


def test_a_positive_angle_turns_the_right_side_downwards() -> None:
    image = torch.full((1, 1, 15, 15), -1.0)
    image[0, 0, 7, 8:] = 1.0  # a line from the centre to the right
    seen = resample(image, torch.tensor([0.15]), torch.tensor([1.0]))[0, 0]
    assert seen[9:, 12:].mean() < seen[8, 12:].mean()
    assert seen[8, 12:].mean() > seen[6, 12:].mean()


def test_turns_and_sizes_stay_within_their_ranges() -> None:
    """A disc of radius 5 in an image of 31 grows or shrinks by at most 15 %: its area by at most 1.15²."""
    rows = torch.arange(31.0) - 15
    disc = torch.where(rows[:, None] ** 2 + rows**2 < 25, 1.0, -1.0).expand(500, 1, 31, 31)
    areas = ((changed(disc, "affine") + 1) / 2).sum(dim=(1, 2, 3))
    area = float(((disc[0] + 1) / 2).sum())
    assert area / 1.15**2 * 0.98 < areas.min() < area * 0.85
    assert area * 1.2 < areas.max() < area * 1.15**2 * 1.02


def test_brightness_contrast_and_saturation_are_what_numpy_computes() -> None:
    """Each change is linear in the pixels: the three numbers are found from three pixels, and checked on all others."""
    for image, seen in zip(pictures(50).numpy(), changed(pictures(50), "colour").numpy(), strict=True):
        grey, seen_grey = image.mean(axis=0), seen.mean(axis=0)
        saturation_and_contrast = (seen - seen_grey)[0, 0, 0] / (image - grey)[0, 0, 0]
        contrast = (seen_grey[0, 0] - seen_grey[3, 5]) / (grey[0, 0] - grey[3, 5])
        brightness = seen.mean() - image.mean()
        assert abs(brightness) <= BRIGHTNESS
        assert CONTRAST[0] <= contrast <= CONTRAST[1]
        assert SATURATION[0] <= saturation_and_contrast / contrast <= SATURATION[1]
        bright = image + brightness
        colourful = bright.mean(axis=0) + (bright - bright.mean(axis=0)) * saturation_and_contrast / contrast
        wanted = colourful.mean() + (colourful - colourful.mean()) * contrast
        np.testing.assert_allclose(seen, wanted, atol=1e-9)


def test_a_grey_image_has_no_saturation() -> None:
    for image, seen in zip(pictures(50, channels=1), changed(pictures(50, channels=1), "colour"), strict=True):
        ratio = (seen - seen.mean()) / (image - image.mean())
        assert torch.allclose(ratio, ratio[0, 0, 0].expand_as(ratio), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_all_changes_can_be_differentiated_twice(channels: int) -> None:
    """R1 and R2 differentiate D's gradient with respect to the images, which passes through the changes."""
    images = pictures(3, channels=channels, side=6).requires_grad_()

    def loss(x: torch.Tensor) -> torch.Tensor:
        return changed(x, *ALL).pow(3).sum()

    assert torch.autograd.gradcheck(loss, [images])
    assert torch.autograd.gradgradcheck(loss, [images])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_changes_keep_the_shape_and_stay_finite(dtype: torch.dtype) -> None:
    images = pictures(30, side=28).to(dtype)
    seen = changed(images, *ALL)
    assert seen.shape == images.shape
    assert torch.isfinite(seen).all()


def test_names_decide_and_their_order_does_not() -> None:
    images = pictures(30)
    assert torch.equal(changed(images, *ALL), changed(images, *ALL[::-1]))
    assert torch.equal(changed(images), images)
