"""Pictures that are not real images: each kind is as described, and the AUROCs equal a count by hand."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.images import ImageShape
from models.inference.scorer import Scorer
from training.data.glyphs import HELD_OUT_FONTS, LATIN, draw_glyphs
from training.data.mnist import read_mnist
from training.evaluation.out_of_distribution import PICTURES, QUESTIONS, SEED, auroc, examine

N = 120


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    return torch.from_numpy(read_mnist()[1][:N].copy())[:, None]


def asked(name: str, images: torch.Tensor, seed: int = 0) -> NDArray[np.uint8]:
    pictures: NDArray[np.uint8] = QUESTIONS[name](images, torch.Generator().manual_seed(seed)).numpy()
    return pictures


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("shape", [(N, 1, 28, 28), (9, 3, 17, 17), (1, 1, 64, 64)])
def test_shape_repetition_and_what_is_left_alone(name: str, shape: tuple[int, ...]):
    images = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    before, state = images.clone(), torch.get_rng_state()
    one, again = asked(name, images), asked(name, images)
    assert one.shape == shape
    assert one.dtype == np.uint8
    assert (one == again).all()
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_noise(digits: torch.Tensor):
    seen = asked("noise", digits)
    counts = np.bincount(seen.ravel(), minlength=256)
    assert counts.min() > 0.7 * seen.size / 256
    assert counts.max() < 1.3 * seen.size / 256
    assert abs(np.corrcoef(seen[:, 0, :, :-1].ravel(), seen[:, 0, :, 1:].ravel())[0, 1]) < 0.02


def test_inverted(digits: torch.Tensor):
    assert (asked("inverted", digits).astype(int) + digits.numpy() == 255).all()


def test_shuffled(digits: torch.Tensor):
    seen = asked("shuffled", digits)
    assert (np.sort(seen.reshape(N, -1)) == np.sort(digits.numpy().reshape(N, -1))).all()
    numbered = torch.arange(256, dtype=torch.int64).to(torch.uint8).reshape(1, 1, 16, 16).expand(30, 1, 16, 16)
    orders = {picture.tobytes() for picture in asked("shuffled", numbered)}
    assert len(orders) == 30  # each image has an order of its own
    colours = torch.stack([numbered[:, 0], 255 - numbered[:, 0]], dim=1)
    both = asked("shuffled", colours)
    assert (both[:, 0].astype(int) + both[:, 1] == 255).all()  # a pixel keeps its colour


def test_letters_are_latin_in_fonts_that_no_judge_has_seen(digits: torch.Tensor):
    seen = asked("letters", digits[:10])
    wanted = draw_glyphs(10, side=28, seed=SEED, characters=LATIN, fonts=HELD_OUT_FONTS)
    assert (seen[:, 0] == wanted).all()
    coloured = asked("letters", digits[:3].expand(3, 3, 28, 28))
    assert (coloured[:, 0] == coloured[:, 2]).all()


def test_overlaid(digits: torch.Tensor):
    images, seen = digits.numpy(), asked("overlaid", digits)
    assert (seen >= images).all()
    for picture, image in zip(seen, images, strict=True):
        assert any((picture == np.maximum(image, other)).all() for other in images)
    assert (seen != images).any(axis=(1, 2, 3)).mean() > 0.95


def test_halves(digits: torch.Tensor):
    white = torch.full((8, 3, 20, 20), 255, dtype=torch.uint8)
    seen = asked("halves", white)
    empty = [(picture == 0).all(axis=0) for picture in seen]
    halves = [slice(None, 10), slice(10, None)]
    for index, where in enumerate(empty):
        wanted = np.zeros((20, 20), bool)
        wanted[(halves[index % 2], slice(None)) if index % 4 < 2 else (slice(None), halves[index % 2])] = True
        assert (where == wanted).all()
        assert (seen[index][:, ~wanted] == 255).all()


def test_blank(digits: torch.Tensor):
    assert not asked("blank", digits).any()


def test_checkerboards(digits: torch.Tensor):
    seen = asked("checkerboards", digits)
    assert set(np.unique(seen)) == {0, 255}
    widths = set()
    for picture in seen[:, 0] > 0:
        assert (picture ^ picture[:1] ^ picture[:, :1] == picture[0, 0]).all()
        for line in (picture[0], picture[:, 0]):
            edges = np.flatnonzero(np.diff(line.astype(int))) + 1
            assert len(set(np.diff(edges))) == 1
            widths.add(int(np.diff(edges)[0]))
    assert widths == set(range(1, 8))


# --- The answers --------------------------------------------------------------------------------


def by_counting(positive: NDArray[np.float32], negative: NDArray[np.float32]) -> float:
    wins = sum((p > n) + 0.5 * (p == n) for p in positive.tolist() for n in negative.tolist())
    return float(wins / len(positive) / len(negative))


@pytest.mark.parametrize("values", [2, 5, 10_000])  # all scores tie, many tie, few tie
def test_auroc_counts_ties_as_half(values: int):
    rng = np.random.default_rng(values)
    positive, negative = (rng.integers(0, values, n).astype(np.float32) - 1 for n in (41, 26))
    assert auroc(positive, negative) == pytest.approx(by_counting(positive, negative), rel=1e-12)
    assert auroc(positive, negative) + auroc(negative, positive) == pytest.approx(1, rel=1e-12)


def test_auroc_at_its_ends():
    low, high = np.array([0, 1], np.float32), np.array([2, 3, 4], np.float32)
    assert (auroc(high, low), auroc(low, high), auroc(low, low)) == (1, 0, 0.5)


class Bright(torch.nn.Module):
    """A D that prefers ink: its logit is the mean pixel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(1, 2, 3))


def test_the_examination_of_a_d_that_likes_ink(digits: torch.Tensor):
    scorer = Scorer(Bright(), image_shape=ImageShape())
    logits = examine(scorer, digits)
    assert set(logits) == set(QUESTIONS)
    assert all(answers.shape == (N,) for answers in logits.values())
    # All kinds use one stream of random numbers, one after another; "halves" takes none from it.
    wanted = asked("halves", digits).astype(np.float64).mean(axis=(1, 2, 3)) / 127.5 - 1
    np.testing.assert_allclose(logits["halves"], wanted, atol=1e-5)
    real = scorer(digits[:, 0].numpy())
    seen = {name: auroc(real, answers) for name, answers in logits.items()}
    assert seen["blank"] == 1
    assert (seen["noise"], seen["inverted"]) == (0, 0)
    assert seen["shuffled"] == pytest.approx(0.5, abs=0.01)  # the same ink
    assert seen["halves"] > 0.8
    assert seen["overlaid"] < 0.2


def test_at_most_so_many_pictures_are_drawn(digits: torch.Tensor, monkeypatch: pytest.MonkeyPatch):
    lengths: list[int] = []

    def question(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        lengths.append(len(images))
        return images

    for name in QUESTIONS:
        monkeypatch.setitem(QUESTIONS, name, question)
    many = digits.repeat(PICTURES // N + 2, 1, 1, 1)
    scorer = Scorer(Bright(), image_shape=ImageShape())
    examine(scorer, many)
    assert lengths == [PICTURES] * len(QUESTIONS)
