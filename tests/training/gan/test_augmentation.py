"""Augmentation, tested on images in which the value of every pixel shows where it came from."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.gan.augmentation import CUTOUT, SHIFT, augment

REACH = {16: 1, 28: 2, 64: 5}
"""The largest move in pixels: a fourteenth of the side, rounded."""

HIDDEN = {16: 4, 28: 7, 64: 16}
"""The side of the hidden square: a quarter of the image's."""


def numbered(n: int, side: int, channels: int = 1) -> torch.Tensor:
    """[n, channels, side, side] float32: pixel (r, c) of channel k has a value of its own, in [−0.9, 0.9]."""
    count = channels * side * side
    values = torch.linspace(-0.9, 0.9, count).reshape(1, channels, side, side)
    return values.expand(n, -1, -1, -1).clone()


def sources(image: torch.Tensor) -> NDArray[np.int64]:
    """Where each pixel of a changed numbered image [C, H, W] came from: its number, or −1 for background."""
    count = image.numel()
    numbers = ((image.double().numpy() + 0.9) / 1.8 * (count - 1)).round().astype(np.int64)
    numbers[image.numpy() == -1] = -1
    return numbers


@dataclass(frozen=True)
class Change:
    """What happened to one image: its move (down, right), and how many rows and columns were hidden of what remained.

    `at_border` is True if the hidden rectangle touches the image's border or the background that the move brought in.
    """

    down: int
    right: int
    hidden_rows: int
    hidden_columns: int
    top: int
    left: int
    at_border: bool


def change(image: torch.Tensor) -> Change:
    """Find out how a numbered image was changed; fail if this is not one move and one rectangle."""
    channels, side, _ = image.shape
    found = sources(image)
    k, r, c = np.nonzero(found >= 0)
    from_k, from_r, from_c = np.unravel_index(found[k, r, c], (channels, side, side))
    assert (from_k == k).all()
    moves = set(zip((r - from_r).tolist(), (c - from_c).tolist(), strict=True))
    assert len(moves) == 1  # rigid: neither mirrored nor stretched
    down, right = moves.pop()
    inside = np.zeros((side, side), dtype=bool)
    inside[max(0, down) : side + min(0, down), max(0, right) : side + min(0, right)] = True
    background = (found == -1).all(axis=0)
    assert ((found == -1) == background).all()  # the same in every channel
    assert background[~inside].all()
    hidden = background & inside
    rows, columns = np.nonzero(hidden.any(axis=1))[0], np.nonzero(hidden.any(axis=0))[0]
    if not len(rows):
        return Change(down, right, 0, 0, -1, -1, at_border=False)
    assert hidden[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert hidden.sum() == len(rows) * len(columns)
    edges = np.pad(~inside, 1, constant_values=True)[rows[0] : rows[-1] + 3, columns[0] : columns[-1] + 3]
    return Change(down, right, len(rows), len(columns), int(rows[0]), int(columns[0]), at_border=bool(edges.any()))


def changes(n: int, side: int, *, probability: float, channels: int = 1, seed: int = 0) -> list[Change]:
    rng = torch.Generator().manual_seed(seed)
    return [change(image) for image in augment(numbered(n, side, channels), probability=probability, rng=rng)]


def test_a_change_is_what_the_docstrings_say():
    assert (SHIFT, CUTOUT) == (1 / 14, 1 / 4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 28, 64])
def test_with_probability_0_nothing_changes(side: int, channels: int):
    images = numbered(20, side, channels)
    assert torch.equal(augment(images, probability=0.0, rng=torch.Generator().manual_seed(0)), images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 28, 64])
def test_a_change_is_one_move_and_one_hidden_rectangle(side: int, channels: int):
    for seen in changes(300, side, probability=1.0, channels=channels):
        assert max(abs(seen.down), abs(seen.right)) <= REACH[side]
        assert 0 <= seen.hidden_rows <= HIDDEN[side]
        assert 0 <= seen.hidden_columns <= HIDDEN[side]
        if not seen.at_border:
            assert (seen.hidden_rows, seen.hidden_columns) == (HIDDEN[side], HIDDEN[side])


@pytest.mark.parametrize("side", [16, 28, 64])
def test_shape_type_and_range_are_kept(side: int):
    images = torch.rand(30, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    seen = augment(images, probability=1.0, rng=torch.Generator().manual_seed(0))
    assert seen.shape == images.shape
    assert seen.dtype == torch.float32
    assert seen.min() >= -1
    assert seen.max() <= 1


@pytest.mark.parametrize("side", [16, 28])
def test_every_move_within_reach_is_as_frequent(side: int):
    n = 2000
    seen = changes(n, side, probability=1.0)
    moves = (2 * REACH[side] + 1) ** 2
    counts = np.zeros((2 * REACH[side] + 1, 2 * REACH[side] + 1))
    for one in seen:
        counts[one.down + REACH[side], one.right + REACH[side]] += 1
    wanted, deviation = n / moves, (n / moves * (1 - 1 / moves)) ** 0.5
    assert np.abs(counts - wanted).max() < 4.5 * deviation


def test_the_hidden_square_may_be_anywhere():
    whole = [one for one in changes(2000, 28, probability=1.0) if not one.at_border and one.hidden_rows]
    # Every place where no move makes the square touch a border: the square is 7 wide, the move at most 2.
    assert {one.top for one in whole} >= set(range(3, 18))
    assert {one.left for one in whole} >= set(range(3, 18))
    assert np.corrcoef([one.top for one in whole], [one.left for one in whole])[0, 1] == pytest.approx(0, abs=0.1)


def test_a_square_at_the_border_is_cut_by_it():
    """The centre of the square is anywhere in the image, so between half and all of each of its sides is visible."""
    white = augment(torch.ones(2000, 1, 28, 28), probability=1.0, rng=torch.Generator().manual_seed(0))
    hidden = sum(one.hidden_rows * one.hidden_columns for one in changes(2000, 28, probability=1.0)) / 2000
    # The mean visible part of a side of 7 on a line of 28 is 7 − 2·(3.5/28)·(3.5/2); the move hides a little of it.
    shows = (7 - 2 * (3.5 / 28) * (3.5 / 2)) ** 2
    assert shows * 0.85 < hidden <= shows * 1.03
    assert (white == -1).any(dim=(1, 2, 3)).all()


@pytest.mark.parametrize("probability", [0.3, 0.8])
def test_each_change_comes_with_its_probability_and_without_the_other(probability: float):
    n = 3000
    seen = changes(n, 28, probability=probability)
    moved = np.array([(one.down, one.right) != (0, 0) for one in seen])
    cut = np.array([one.hidden_rows > 0 for one in seen])
    # One of the 25 possible moves is no move; the standard error is at most 0.009.
    assert moved.mean() == pytest.approx(probability * 24 / 25, abs=0.04)
    assert cut.mean() == pytest.approx(probability, abs=0.04)
    assert (moved & cut).mean() == pytest.approx(probability**2 * 24 / 25, abs=0.04)


def test_images_of_a_batch_are_changed_each_in_its_own_way():
    seen = changes(50, 28, probability=1.0)
    assert len(set(seen)) > 45


def test_a_picture_is_never_mirrored():
    """A bright left half stays left of the dark one, and the upper of two rows above the lower."""
    images = torch.full((500, 1, 28, 28), -1.0)
    images[:, :, :, :14] = 0.0
    images[:, :, :7, :14] = 1.0
    seen = augment(images, probability=1.0, rng=torch.Generator().manual_seed(0))
    assert (seen[:, :, :, 16:] == -1).all()
    assert (seen[:, :, 9:] < 1).all()
    assert (seen[:, :, 9:, :12] == 0).any(dim=(1, 2, 3)).all()


def test_gradients_pass_to_the_pixels_that_are_seen_and_to_no_others():
    images = numbered(40, 16, 3).requires_grad_()
    seen = augment(images, probability=1.0, rng=torch.Generator().manual_seed(0))
    weights = torch.rand(seen.shape, generator=torch.Generator().manual_seed(1)) + 1
    (gradients,) = torch.autograd.grad((seen * weights).sum(), images)
    for image, gradient, weight in zip(seen.detach(), gradients, weights, strict=True):
        wanted = np.zeros(image.numel())
        numbers = sources(image).ravel()
        wanted[numbers[numbers >= 0]] = weight.numpy().ravel()[numbers >= 0]
        np.testing.assert_array_equal(gradient.numpy().ravel(), wanted.astype(np.float32))


def test_the_same_generator_gives_the_same_changes_and_global_state_is_left_alone():
    images = numbered(20, 28)
    before = torch.get_rng_state()
    one, again, other = (
        augment(images, probability=0.7, rng=torch.Generator().manual_seed(seed)) for seed in (4, 4, 5)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_images_handed_in_stay_as_they_were():
    images = numbered(20, 28)
    augment(images, probability=1.0, rng=torch.Generator().manual_seed(0))
    assert torch.equal(images, numbered(20, 28))
