"""Animations, decoded by Pillow: every frame, its duration, and what a GIF does to colours."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from app.media.animations import AnimationFormat, encode_animation
from tests.app.checks import animation_frames


def noise(n: int, side: int = 28, *, channels: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    shape = (n, side, side) if channels == 1 else (n, side, side, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def durations_ms(data: bytes) -> list[int]:
    with Image.open(io.BytesIO(data)) as image:
        found = []
        for frame in ImageSequence.Iterator(image):
            frame.load()
            found.append(int(frame.info["duration"]))
        return found


@pytest.mark.parametrize("form", ["gif", "webp"])
@pytest.mark.parametrize("scale", [1, 3])
def test_grey_is_kept_to_the_bit(form: AnimationFormat, scale: int) -> None:
    images = noise(7)
    data = encode_animation(images, form, scale=scale, duration_ms=60)
    frames = animation_frames(data, form)
    assert frames.shape == (7, 28 * scale, 28 * scale, 3)
    for channel in range(3):
        assert (frames[..., channel] == images.repeat(scale, axis=1).repeat(scale, axis=2)).all()


@pytest.mark.parametrize("form", ["gif", "webp"])
def test_frames_that_differ_in_a_corner_only(form: AnimationFormat) -> None:
    images = np.repeat(noise(1), 6, axis=0)
    for k in range(6):
        images[k, : k + 1, 0] = 10 * k
    assert (animation_frames(encode_animation(images, form, duration_ms=60), form)[..., 0] == images).all()


def test_webp_keeps_colours_to_the_bit() -> None:
    images = noise(5, 32, channels=3)
    assert (animation_frames(encode_animation(images, "webp", duration_ms=60), "webp") == images).all()


def test_gif_keeps_few_colours_and_comes_near_to_many() -> None:
    few = np.random.default_rng(0).choice(np.array([0, 85, 170, 255], dtype=np.uint8), (4, 32, 32, 3))  # 64 colours
    assert (animation_frames(encode_animation(few, "gif", duration_ms=60), "gif") == few).all()
    many = noise(3, 32, channels=3)
    error = np.abs(animation_frames(encode_animation(many, "gif", duration_ms=60), "gif").astype(int) - many)
    assert 1 < error.mean() < 20


@pytest.mark.parametrize(
    ("form", "asked", "got"),
    [("gif", 20, 20), ("gif", 24, 20), ("gif", 25, 30), ("gif", 10_000, 10_000), ("webp", 20, 20), ("webp", 33, 33)],
)
def test_duration(form: AnimationFormat, asked: int, got: int) -> None:
    assert durations_ms(encode_animation(noise(4), form, duration_ms=asked)) == [got] * 4


@pytest.mark.parametrize("form", ["gif", "webp"])
def test_it_is_played_again_and_again(form: AnimationFormat) -> None:
    with Image.open(io.BytesIO(encode_animation(noise(3), form, duration_ms=60))) as image:
        assert image.info["loop"] == 0


@pytest.mark.parametrize("form", ["gif", "webp"])
def test_equal_neighbours_last_as_long_as_they_did(form: AnimationFormat) -> None:
    images = noise(3)[[0, 0, 0, 1, 2, 2]]
    data = encode_animation(images, form, duration_ms=50)
    frames, lasting = animation_frames(data, form), durations_ms(data)
    shown = [frame for frame, ms in zip(frames, lasting, strict=True) for _ in range(ms // 50)]
    assert (np.stack(shown)[..., 0] == images).all()


@pytest.mark.parametrize("form", ["gif", "webp"])
def test_images_that_are_all_the_same_for_as_long_as_may_be(form: AnimationFormat) -> None:
    data = encode_animation(np.repeat(noise(1), 65, axis=0), form, duration_ms=10_000)
    assert (animation_frames(data, form)[..., 0] == noise(1)).all()


@pytest.mark.parametrize("form", ["gif", "webp"])
def test_the_same_pixels_are_the_same_bytes(form: AnimationFormat) -> None:
    one, two, other = (encode_animation(noise(5, seed=seed), form, duration_ms=60) for seed in (0, 0, 1))
    assert one == two
    assert one != other
