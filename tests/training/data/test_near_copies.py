"""Near copies: planted ones are found, and pictures that are only alike are not."""

import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from training.data import near_copies
from training.data.copies import note_copies
from training.data.near_copies import LEAST, NEAR, Pairs, find_near_copies


def scenes(n: int, *, side: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    """[n, side, side, 3] uint8: smooth noise with little colour, in which neighbouring pixels are alike."""
    rng = np.random.default_rng(seed)
    grey, colours = rng.integers(20, 236, (n, 6, 6, 1)), rng.integers(-20, 20, (n, 6, 6, 3))
    small = (grey + colours).astype(np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)) for image in small]
    )


def tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def found(images: NDArray[np.uint8], held_out: NDArray[np.uint8]) -> set[tuple[int, int]]:
    pairs: Pairs = find_near_copies(tensor(images), tensor(held_out))
    return set(zip(pairs.rows.tolist(), pairs.others.tolist(), strict=True))


def test_different_pictures_are_no_copies() -> None:
    assert found(scenes(300), scenes(50, seed=1)) == set()


@pytest.mark.parametrize("quality", [95, 85, 75])
def test_pictures_that_were_saved_again_are_found(quality: int) -> None:
    images = scenes(300)
    again = np.stack([jpeg(image, quality) for image in images[:100]])
    pairs = found(images, again)
    assert pairs <= {(row, 300 + row) for row in range(100)}
    assert len(pairs) >= 98


def test_exact_copies_in_both_sets() -> None:
    images = scenes(40)
    assert found(np.concatenate([images, images[:3]]), images[7:9]) == {(0, 40), (1, 41), (2, 42), (7, 43), (8, 44)}


def test_both_sides_of_the_limit_of_nearness() -> None:
    """Every second pixel becomes brighter, and the others darker, by the same number of grey levels."""
    assert (NEAR, LEAST) == (0.1, 2.0)
    images = np.clip(scenes(60), 20, 230)
    board = np.where(np.indices((32, 32)).sum(axis=0) % 2, 1, -1)[None, :, :, None]
    limit = images[0].astype(np.float64).std() * NEAR
    for change, near in ((int(limit), True), (int(limit) + 1, False)):
        other = (images[:1].astype(np.int64) + board * change).astype(np.uint8)
        assert found(images, other) == ({(0, 60)} if near else set())


def test_flat_pictures_are_compared_by_grey_levels() -> None:
    grey = np.full((1, 16, 16, 3), 100, dtype=np.uint8)
    assert found(grey, grey + 2) == {(0, 1)}
    assert found(grey, grey + 3) == set()


def test_an_empty_set_and_a_single_picture() -> None:
    images = scenes(5)
    assert found(images[:1], images[:0]) == set()
    assert found(images[:1], images[1:2]) == set()


def test_each_of_many_copies_is_in_a_pair() -> None:
    images = np.concatenate([np.repeat(scenes(1), 100, axis=0), scenes(50, seed=1)])
    pairs = found(images, scenes(3, seed=2))
    assert {row for pair in pairs for row in pair} == set(range(100))
    assert len(pairs) <= 4 * near_copies.WINDOW * 100


def test_the_parts_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.concatenate([scenes(60), scenes(60)[::3]])
    whole = found(images, scenes(10))
    monkeypatch.setattr(near_copies, "_ROWS", 7)
    monkeypatch.setattr(near_copies, "_VALUES", 20_000)
    assert found(images, scenes(10)) == whole
    assert len(whole) >= 20


def test_a_near_copy_on_both_sides_of_the_split_is_told_with_names() -> None:
    images = scenes(40)
    held_out = np.stack([jpeg(images[4], 90), *scenes(3, seed=1)])
    (note,) = note_copies(tensor(images), tensor(held_out), name_of="picture {}".format)
    assert note == (
        "1 of the 4 held-out images are equal to a training image, or nearly so (0 in every pixel; for example, "
        "picture 4 and picture 40), so figures about held-out images look better than they are: take the copies out of "
        "the data"
    )
