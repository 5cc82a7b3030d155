"""Pictures that are not real images: each kind has the right content, shape and range, and is repeatable."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.data.mnist import read_mnist
from training.export import negatives
from training.export.negatives import FROM_IMAGES, Negative, letters

NAMES = ["noise", "inverted", "shuffled", "overlaid", "halved", "plain", "patterned", "dirty"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    """Return real digits: [400, 1, 28, 28] float32 in [−1, 1]."""
    return torch.from_numpy(read_mnist()[1][:400].copy())[:, None].float() / 127.5 - 1


def made(name: str, images: torch.Tensor, seed: int = 0) -> NDArray[np.float64]:
    """Make pictures of the kind `name`: [N, C, H, W] float64."""
    make: Negative = getattr(negatives, name)
    return make(images, seeded(seed)).double().numpy()


def photos(n: int, channels: int, side: int) -> torch.Tensor:
    return torch.rand(n, channels, side, side, generator=seeded(9)) * 2 - 1


def test_these_are_all_kinds():
    assert [kind.make for kind in FROM_IMAGES] == [getattr(negatives, name) for name in NAMES]
    assert all(kind.weight > 0 for kind in FROM_IMAGES)


# --- What all kinds have in common --------------------------------------------------------------


@pytest.fixture(scope="module")
def some_letters() -> Callable[[int], Negative]:
    """Return a function that makes letters of a given side, from a small pool."""
    drawn: dict[int, Negative] = {}

    def of_side(side: int) -> Negative:
        if side not in drawn:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(negatives, "GLYPHS", 50)
                drawn[side] = letters(side, seed=3)
        return drawn[side]

    return of_side


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (50, 1, 28, 28), (33, 3, 17, 17), (20, 3, 64, 64)])
@pytest.mark.parametrize("name", [*NAMES, "letters"])
def test_shape_range_repetition_and_what_is_left_alone(
    name: str, shape: tuple[int, ...], some_letters: Callable[[int], Negative]
):
    make: Negative = some_letters(shape[-1]) if name == "letters" else getattr(negatives, name)
    images = photos(*shape[:3])
    before, state = images.clone(), torch.get_rng_state()
    one, again, other = (make(images, seeded(seed)) for seed in (1, 1, 2))
    assert one.shape == shape
    assert one.dtype == torch.float32
    assert float(one.min()) >= -1 - 1e-6
    assert float(one.max()) <= 1 + 1e-6
    assert torch.equal(one, again)
    assert name == "inverted" or len(images) == 1 or not torch.equal(one, other)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NAMES)
def test_no_picture_is_the_image_that_it_was_made_from(name: str, digits: torch.Tensor):
    changes = np.abs(made(name, digits) - digits.double().numpy()).mean(axis=(1, 2, 3))
    assert np.quantile(changes, 0.02) > 0.01


# --- What each kind is --------------------------------------------------------------------------


def test_noise_is_fine_coarse_or_sparse(digits: torch.Tensor):
    seen = made("noise", digits)[:, 0]
    black = (seen == -1).mean(axis=(1, 2))
    sparse = black > 0.5
    steps = np.abs(np.diff(seen, axis=2)).mean(axis=(1, 2))  # 2/3 between independent uniform pixels
    fine, coarse = ~sparse & (steps > 0.55), ~sparse & (steps < 0.3)
    assert (sparse | fine | coarse).all()
    assert all(0.25 < kind.mean() < 0.42 for kind in (sparse, fine, coarse))
    assert seen[fine].mean() == pytest.approx(0, abs=0.02)
    assert seen[fine].var() == pytest.approx(1 / 3, abs=0.01)
    assert 0.78 < black[sparse].mean() < 0.82  # at most 40 per cent of ink


def test_inverted_is_ink_for_paper(digits: torch.Tensor):
    assert (made("inverted", digits) == -digits.double().numpy()).all()


def test_shuffled_has_the_same_ink_in_another_order(digits: torch.Tensor):
    images = digits[:60].double().numpy()
    sizes = set()
    for seed in range(12):
        seen = made("shuffled", digits[:60], seed)
        assert (np.sort(seen.reshape(60, -1)) == np.sort(images.reshape(60, -1))).all()
        for side in (7, 4, 1):  # whole squares are moved, and no larger ones
            before, after = (
                x.reshape(60, 28 // side, side, 28 // side, side).swapaxes(2, 3).reshape(60, -1, side * side)
                for x in (images, seen)
            )
            if all({s.tobytes() for s in a} == {s.tobytes() for s in b} for a, b in zip(before, after, strict=True)):
                sizes.add(side)
                break
        orders = (seen[0] != images[0]).mean(), (seen[1] != images[1]).mean()
        assert min(orders) > 0.02
    assert sizes == {1, 4, 7}


def test_shuffled_keeps_an_images_channels_together():
    images = photos(5, 3, 28)
    seen = negatives.shuffled(images, seeded())
    colours = [{tuple(pixel) for pixel in x.flatten(1).T.tolist()} for x in (images[2], seen[2])]
    assert colours[0] == colours[1]


def test_overlaid_holds_the_image_and_its_neighbours(digits: torch.Tensor):
    images, seen = digits[:100].double().numpy(), made("overlaid", digits[:100])
    assert (seen >= images - 1e-6).all()  # no pixel becomes darker
    others = np.roll(images, 1, axis=0)
    found = 0
    for picture, image, other in zip(seen[:, 0], images[:, 0], others[:, 0], strict=True):
        candidates = []
        for down in (-2, -1, 0, 1, 2):
            for right in (-2, -1, 0, 1, 2):
                padded = np.pad(other, 2, constant_values=-1)
                shifted = padded[2 - down : 30 - down, 2 - right : 30 - right]
                candidates += [np.maximum(image, shifted), np.clip(image + shifted + 1, -1, 1)]
        found += any(np.abs(picture - candidate).max() < 1e-5 for candidate in candidates)
    assert found == 100


def test_halved_keeps_40_to_60_per_cent_at_one_side():
    white = torch.ones(800, 1, 28, 28)
    seen = made("halved", white)[:, 0]
    assert set(np.unique(seen)) == {-1, 1}
    sides = []
    for picture in seen > 0:
        assert 0.4 - 1 / 28 <= picture.mean() <= 0.6 + 1 / 28
        rows, columns = picture.all(axis=1), picture.all(axis=0)
        assert rows.any() != columns.any()
        line, side = (rows, 0) if rows.any() else (columns, 2)
        assert (np.diff(line.astype(int)) != 0).sum() == 1
        assert (picture == (line[:, None] if side == 0 else line[None, :])).all()
        sides.append(side + int(line[0]))
    assert all(0.2 < sides.count(side) / 800 < 0.3 for side in range(4))


def test_halved_leaves_the_rest_as_it_was(digits: torch.Tensor):
    images, seen = digits.double().numpy(), made("halved", digits)
    assert ((seen == images) | (seen == -1)).all()


def test_plain_is_one_grey_and_a_little_dust(digits: torch.Tensor):
    seen = made("plain", digits)[:, 0].reshape(400, -1)
    grey = np.median(seen, axis=1)
    dust = seen != grey[:, None]
    assert (seen[dust] == 1).all()
    assert dust.sum(axis=1).max() < 12
    assert (grey == -1).mean() == pytest.approx(0.5, abs=0.08)
    assert dust.any(axis=1).mean() == pytest.approx(0.25 * (1 - np.exp(-2)), abs=0.06)
    others = grey[grey > -1]
    assert others.mean() == pytest.approx(0, abs=0.13)
    assert others.std() == pytest.approx(3**-0.5, abs=0.06)


def test_patterned_is_checkerboards_and_stripes(digits: torch.Tensor):
    seen = made("patterned", digits)[:, 0]
    assert (seen.min(axis=(1, 2)) == -1).all()
    kinds = {"rows": 0, "columns": 0, "both": 0}
    for picture in seen:
        levels = np.unique(picture)
        assert len(levels) == 2
        bright = picture == levels[1]
        along, across = (bright == bright[:, :1]).all(), (bright == bright[:1]).all()
        kinds["rows" if along else "columns" if across else "both"] += 1
        if not along and not across:
            assert (bright ^ bright[:1] ^ bright[:, :1] == bright[0, 0]).all()  # row pattern XOR column pattern
        for line in (bright[0], bright[:, 0]):  # all fields have one width, but the first and the last may be cut
            edges = np.flatnonzero(np.diff(line.astype(int))) + 1
            assert len(set(np.diff(edges))) <= 1
            assert (np.diff(edges) <= 14).all()
    assert kinds["both"] / 400 == pytest.approx(0.5, abs=0.08)
    assert kinds["rows"] / 400 == pytest.approx(0.25, abs=0.07)
    assert kinds["columns"] / 400 == pytest.approx(0.25, abs=0.07)
    assert (seen.max(axis=(1, 2)) == 1).mean() == pytest.approx(0.5, abs=0.08)


def test_dirty_is_under_noise_a_cloud_or_pale(digits: torch.Tensor):
    images, seen = digits.double().numpy()[:, 0], made("dirty", digits)[:, 0]
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4)), constant_values=-1)
    means = np.lib.stride_tricks.sliding_window_view(padded, (9, 9), axis=(1, 2)).mean(axis=(3, 4))
    cloud = np.abs(seen - means).max(axis=(1, 2)) < 1e-5
    ratio = ((seen + 1) * (images + 1)).sum(axis=(1, 2)) / ((images + 1) ** 2).sum(axis=(1, 2))  # by least squares
    pale = np.abs((seen + 1) - ratio[:, None, None] * (images + 1)).max(axis=(1, 2)) < 1e-5
    noisy = ~cloud & ~pale
    assert not (cloud & pale).any()
    assert all(0.25 < kind.mean() < 0.42 for kind in (cloud, pale, noisy))
    assert ((ratio[pale] >= 0.05) & (ratio[pale] <= 0.3)).all()
    assert np.ptp(ratio[pale]) > 0.2
    paper = (images == -1) & noisy[:, None, None]
    assert (seen[paper] > -1).mean() == pytest.approx(0.5, abs=0.01)  # noise below the paper's −1 is cut off
    # The positive half of noise of strength s has the mean square s²: 0.52 on average over strengths from 0.4 to 1.
    assert ((seen[paper] + 1).clip(max=2) ** 2).mean() * 2 == pytest.approx(0.52, abs=0.05)


@pytest.mark.parametrize("reach", [0, 1, 3])
def test_moved(digits: torch.Tensor, reach: int):
    images = digits.double().numpy()[:, 0]
    seen = negatives.moved(digits, seeded(), reach=reach).double().numpy()[:, 0]
    shifts = set()
    for picture, image in zip(seen, images, strict=True):
        padded = np.pad(image, reach, constant_values=-1)
        matches = {
            (down - reach, right - reach)
            for down in range(2 * reach + 1)
            for right in range(2 * reach + 1)
            if (padded[down : down + 28, right : right + 28] == picture).all()
        }
        assert matches
        shifts |= matches
    assert len(shifts) == (2 * reach + 1) ** 2  # every shift occurs


def test_letters_are_drawn_from_one_pool(some_letters: Callable[[int], Negative], digits: torch.Tensor):
    make = some_letters(28)
    seen = make(digits, seeded())
    assert len({picture.numpy().tobytes() for picture in seen}) > 50  # 50 glyphs, each moved at random
    assert float(seen.amax(dim=(1, 2, 3)).min()) > -0.5
    assert float(seen.median()) == -1
    coloured = make(photos(9, 3, 28), seeded())
    assert torch.equal(coloured[:, 0], coloured[:, 2])
