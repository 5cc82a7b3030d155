"""Conditional networks: ballots and class logits computed by hand, and latents changed to name a class."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from models.errors import ClassError
from models.images import ImageShape
from models.latents import Prior, draw_latents
from models.networks.architectures import Architecture
from models.networks.build import build_networks
from models.networks.conditional import (
    Ballots,
    ConditionalDiscriminator,
    ask_for_class,
    ballots_of,
    check_class,
    labels_of,
)
from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.head_starts import head_starts_for
from models.networks.mlp import MLP
from models.networks.residual import Residual

CLASSES = 10
LEVEL = np.zeros(CLASSES, np.float32)
Z_DIM = 14

SMALL: list[Architecture] = [
    MLP(generator_widths=(9, 7), discriminator_widths=(5,)),
    MLP(generator_widths=(9,), discriminator_widths=(5,), group_deviation=True, hidden_keep_probability=0.7),
    Goodfellow2014(generator_widths=(9,), maxout_units=(5, 4)),
    Conv(generator_channels=(4, 3), discriminator_channels=(3, 4)),
    Conv(generator_widths=(6,), generator_channels=(4, 3), discriminator_channels=(3, 4), maxout_units=(5,)),
    Residual(generator_channels=2, discriminator_channels=3, group_width=2),
]


def latents(n: int = 200, *, prior: Prior = "normal", seed: int = 0) -> NDArray[np.float32]:
    return draw_latents(seed, 0, n, z_dim=Z_DIM, prior=prior)


class Fixed(nn.Module):
    """A body that returns given logits."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits


def d_of(logits: NDArray[np.float64], *, dtype: torch.dtype = torch.float64) -> ConditionalDiscriminator:
    return ConditionalDiscriminator(nn.Sequential(Fixed(torch.from_numpy(logits).to(dtype))))


def images(n: int) -> torch.Tensor:
    return torch.zeros(n, 1, 16, 16)


@pytest.mark.parametrize("classes", [2, 3, CLASSES])
def test_ballots_become_a_sharp_softmax_of_the_length_of_the_priors(classes: int):
    z = latents().astype(np.float64)
    seen = Ballots(classes)(torch.from_numpy(z)).numpy()
    assert seen.shape == z.shape
    np.testing.assert_array_equal(seen[:, :-classes], z[:, :-classes])
    for row, ballots in zip(seen[:, -classes:], z[:, -classes:], strict=True):
        powers = [math.exp(12 * (ballot - max(ballots))) for ballot in ballots]
        np.testing.assert_allclose(row, [math.sqrt(classes) * power / sum(powers) for power in powers], rtol=1e-9)


@pytest.mark.parametrize("rows", [1, 16, 200])
def test_ballots_of_an_array_are_the_same_to_the_bit(rows: int):
    ballots = Ballots(CLASSES)
    ballots.head_starts.copy_(torch.linspace(-0.3, 0.4, CLASSES))
    z = latents(rows)
    before = z.copy()
    assert np.array_equal(ballots.of_array(z), ballots(torch.from_numpy(z)).numpy())
    assert np.array_equal(z, before)


def test_a_clear_vote_is_a_vector_of_the_length_that_the_ballots_have_in_the_mean():
    z = np.zeros((1, Z_DIM))
    z[0, -CLASSES + 4] = 3
    seen = Ballots(CLASSES)(torch.from_numpy(z)).numpy()[0]
    assert np.linalg.norm(seen) == pytest.approx(math.sqrt(CLASSES), rel=1e-9)
    assert seen.argmax() == Z_DIM - CLASSES + 4
    for prior in ("normal", "uniform"):
        drawn = latents(20_000, prior=prior)[:, -CLASSES:].astype(np.float64)
        assert (drawn**2).sum(axis=1).mean() == pytest.approx(CLASSES, rel=0.02)


def test_a_tie_is_shared_and_the_class_changes_smoothly():
    z = torch.zeros(1, Z_DIM, dtype=torch.float64)
    z[0, -1] = z[0, -2] = 5
    seen = Ballots(CLASSES)(z)[0]
    assert seen[-1].item() == pytest.approx(math.sqrt(CLASSES) / 2)
    assert seen[-2].item() == pytest.approx(math.sqrt(CLASSES) / 2)
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(Ballots(CLASSES)(z)[0, -1], z)
    assert gradient[0, -1] > 1
    assert gradient[0, -2] < -1


def test_forward_is_the_log_of_the_mean_of_the_classes_exponentials():
    logits = np.random.default_rng(0).normal(size=(9, CLASSES)) * 3
    seen = d_of(logits)(images(9)).numpy()
    assert seen.shape == (9,)
    np.testing.assert_allclose(seen, np.log(np.exp(logits).mean(axis=1)), rtol=1e-5, atol=1e-6)


def test_a_d_that_knows_no_classes_is_the_same_d():
    logits = np.repeat([[-3.0], [0.0], [2.5]], CLASSES, axis=1)
    np.testing.assert_allclose(d_of(logits)(images(3)).numpy(), [-3, 0, 2.5], atol=1e-6)


def test_extreme_logits_stay_finite():
    logits = np.array([[1e4, 0, -1e4], [-1e4, -1e4, -1e4]])
    seen = d_of(logits, dtype=torch.float32)(images(2)).numpy()
    np.testing.assert_allclose(seen, [1e4 - math.log(3), -1e4], rtol=1e-6)


def test_half_precision_logits_are_summed_in_float32():
    seen = d_of(np.zeros((2, 1000)), dtype=torch.bfloat16)(images(2))
    assert seen.dtype == torch.float32
    np.testing.assert_allclose(seen.numpy(), 0, atol=1e-5)


def test_class_logits_are_those_of_each_images_own_label():
    logits = np.random.default_rng(1).normal(size=(6, CLASSES))
    labels = [3, 0, 9, 9, 5, 1]
    seen = d_of(logits).class_logits(images(6), torch.tensor(labels)).numpy()
    assert seen.tolist() == [logits[row, label] for row, label in enumerate(labels)]


def test_class_logits_pass_gradients_to_the_labels_logit_alone():
    logits = torch.zeros(2, 3, requires_grad=True)
    seen = ConditionalDiscriminator(nn.Sequential(Fixed(logits))).class_logits(images(2), torch.tensor([2, 0]))
    (gradient,) = torch.autograd.grad(seen.sum(), logits)
    assert gradient.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_the_largest_ballot_names_the_class():
    z = latents()
    z[:, 0] = 100  # no ballot, however large
    seen = labels_of(torch.from_numpy(z), head_starts=torch.zeros(CLASSES))
    assert seen.dtype == torch.int64
    assert seen.tolist() == [max(range(CLASSES), key=lambda k: row[Z_DIM - CLASSES + k]) for row in z.tolist()]
    assert set(seen.tolist()) == set(range(CLASSES))


@pytest.mark.parametrize("prior", ["normal", "uniform"])
@pytest.mark.parametrize("label", [0, 4, CLASSES - 1])
def test_an_asked_latent_names_the_label_and_only_two_ballots_change_places(label: int, prior: Prior):
    z = latents(prior=prior)
    asked = ask_for_class(z, label, head_starts=LEVEL)
    assert asked.shape == z.shape
    assert asked.dtype == np.float32
    assert labels_of(torch.from_numpy(asked), head_starts=torch.zeros(CLASSES)).tolist() == [label] * len(z)
    np.testing.assert_array_equal(asked[:, :-CLASSES], z[:, :-CLASSES])
    for before, after in zip(z[:, -CLASSES:].tolist(), asked[:, -CLASSES:].tolist(), strict=True):
        wanted = before.copy()
        largest = before.index(max(before))
        wanted[label], wanted[largest] = before[largest], before[label]
        assert after == wanted


def test_a_latent_that_is_asked_for_its_own_class_is_the_same_to_the_bit():
    z = latents()
    own = labels_of(torch.from_numpy(z), head_starts=torch.zeros(CLASSES)).numpy()
    for label in range(CLASSES):
        rows = z[own == label]
        assert ask_for_class(rows, label, head_starts=LEVEL).tobytes() == rows.tobytes()


def test_asking_twice_is_asking_once():
    once = ask_for_class(latents(), 7, head_starts=LEVEL)
    assert ask_for_class(once, 7, head_starts=LEVEL).tobytes() == once.tobytes()


def test_the_latents_handed_in_stay_as_they_were():
    z = latents()
    z.flags.writeable = False  # the caller's latents must not change
    asked = ask_for_class(z, 2, head_starts=LEVEL)
    assert z.tobytes() == latents().tobytes()
    assert asked.flags.writeable
    assert not np.shares_memory(asked, z)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_asked_latents_are_distributed_as_those_that_name_the_class_by_themselves(prior: Prior):
    label, n = 3, 200_000
    z = latents(n, prior=prior)
    own = labels_of(torch.from_numpy(z), head_starts=torch.zeros(CLASSES)).numpy() == label
    natural = z[own].astype(np.float64)
    asked = ask_for_class(latents(len(natural), prior=prior, seed=1), label, head_starts=LEVEL).astype(np.float64)
    assert len(natural) > 19_000
    assert len(asked) == len(natural)
    # The standard error of a difference is at most 0.010 for two means, and 0.014 for two (co)variances.
    np.testing.assert_allclose(asked.mean(axis=0), natural.mean(axis=0), atol=0.045)
    np.testing.assert_allclose(np.cov(asked.T), np.cov(natural.T), atol=0.06)
    for k in range(Z_DIM):
        assert kolmogorov_smirnov(asked[:, k], natural[:, k]) < 2.4  # p = 2·exp(−2·2.4²) = 0.00002 each
    # A statistic of several coordinates: the distance between the largest ballot and the second largest.
    ahead = [np.diff(np.sort(drawn[:, -CLASSES:], axis=1)[:, -2:], axis=1)[:, 0] for drawn in (asked, natural)]
    assert kolmogorov_smirnov(*ahead) < 2.4


def kolmogorov_smirnov(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return √(nm/(n + m)) times the largest distance between two samples' distribution functions."""
    at = np.sort(np.concatenate([a, b]))
    distances = np.searchsorted(np.sort(a), at, "right") / len(a) - np.searchsorted(np.sort(b), at, "right") / len(b)
    return float(np.abs(distances).max() * math.sqrt(len(a) * len(b) / (len(a) + len(b))))


SHARES = np.array([0.0987, 0.1124, 0.0993, 0.1022, 0.0974, 0.0904, 0.0986, 0.1044, 0.0975, 0.0991])  # about MNIST's


def test_with_head_starts_an_asked_latent_names_the_label_and_its_noise_stays():
    starts = head_starts_for(SHARES, prior="normal")
    z = latents(2000)
    for label in range(CLASSES):
        asked = ask_for_class(z, label, head_starts=starts)
        assert labels_of(torch.from_numpy(asked), head_starts=torch.from_numpy(starts)).tolist() == [label] * len(z)
        np.testing.assert_array_equal(asked[:, :-CLASSES], z[:, :-CLASSES])
        # The counted sums are the same as before, in another order.
        before, after = (np.sort(ballots[:, -CLASSES:] + starts, axis=1) for ballots in (z, asked))
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_g_counts_with_the_head_starts_that_it_carries():
    shape = ImageShape(height=16, width=16)
    generator, _ = build_networks(SMALL[0], z_dim=Z_DIM, image_shape=shape, classes=CLASSES)
    ballots = ballots_of(generator)
    z = torch.zeros(1, Z_DIM)
    z[0, -1] = 0.5
    assert int(ballots(z)[0, -CLASSES:].argmax()) == CLASSES - 1
    ballots.head_starts.copy_(torch.tensor([2.0, *[0.0] * (CLASSES - 1)]))
    assert int(ballots(z)[0, -CLASSES:].argmax()) == 0
    assert int(labels_of(z, head_starts=ballots.head_starts)) == 0
    assert "0.head_starts" in generator.state_dict()  # it is stored with G's weights


@pytest.mark.parametrize("label", [-1, CLASSES, 10**6])
def test_a_class_that_is_none(label: int):
    with pytest.raises(ValueError, match=f"^the class must be 0 to 9, not {label}$"):
        ask_for_class(latents(3), label, head_starts=LEVEL)


@pytest.mark.parametrize(("label", "classes"), [(None, 0), (None, 3), (0, 3), (2, 3)])
def test_classes_that_may_be_asked_for(label: int | None, classes: int):
    check_class(label, classes=classes)


@pytest.mark.parametrize(
    ("label", "classes", "message"),
    [
        (3, 3, "the class must be 0 to 2, not 3"),
        (-1, 3, "the class must be 0 to 2, not -1"),
        (0, 0, "the model has no classes, so it cannot draw class 0; leave the class out"),
    ],
)
def test_classes_that_may_not(label: int, classes: int, message: str):
    with pytest.raises(ClassError, match=f"^{message}$") as refused:
        check_class(label, classes=classes)
    assert (refused.value.label, refused.value.classes) == (label, classes)


@pytest.mark.parametrize("architecture", SMALL, ids=lambda architecture: architecture.name)
@pytest.mark.parametrize("side", [16, 28, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_ranges_of_a_conditional_pair(architecture: Architecture, side: int, channels: int):
    shape = ImageShape.model_validate({"channels": channels, "height": side, "width": side})
    generator, discriminator = build_networks(architecture, z_dim=Z_DIM, image_shape=shape, classes=CLASSES)
    rng = torch.Generator().manual_seed(0)
    architecture.initialise(generator, discriminator, rng=rng, pixel_means=torch.full(shape.chw, 0.5))
    z = torch.from_numpy(latents(5))
    with torch.no_grad():
        pictures = generator(z)
        assert pictures.shape == (5, channels, side, side)
        assert pictures.dtype == torch.float32
        assert pictures.min() >= -1
        assert pictures.max() <= 1
        assert isinstance(discriminator, ConditionalDiscriminator)
        logits = discriminator.eval()(pictures)
        assert logits.shape == (5,)
        labels = labels_of(z, head_starts=torch.zeros(CLASSES))
        each = torch.stack([discriminator.class_logits(pictures, torch.full((5,), k)) for k in range(CLASSES)], dim=1)
        own = discriminator.class_logits(pictures, labels)
    assert own.tolist() == [row[label] for row, label in zip(each.tolist(), labels.tolist(), strict=True)]
    assert len(set(each[0].tolist())) == CLASSES
    np.testing.assert_allclose(logits.numpy(), np.log(np.exp(each.double().numpy()).mean(axis=1)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", SMALL, ids=lambda architecture: architecture.name)
def test_the_class_is_all_that_g_learns_of_its_ballots(architecture: Architecture):
    """Two latents with the same noise and the same clear vote give the same picture; another vote gives another one."""
    shape = ImageShape(height=16, width=16)
    generator, discriminator = build_networks(architecture, z_dim=Z_DIM, image_shape=shape, classes=CLASSES)
    rng = torch.Generator().manual_seed(0)
    architecture.initialise(generator, discriminator, rng=rng, pixel_means=torch.full(shape.chw, 0.5))
    z = torch.randn(1, Z_DIM, generator=rng).repeat(3, 1)
    z[:, -CLASSES:] = -1
    z[0, -1], z[1, -1], z[2, -2] = 2.0, 4.0, 2.0
    z[1, -3] = -3.0
    pictures = generator.eval()(z).detach()
    torch.testing.assert_close(pictures[0], pictures[1], atol=1e-6, rtol=0)
    assert (pictures[0] - pictures[2]).abs().max() > 1e-3


def test_a_pair_without_classes_has_neither_ballots_nor_class_logits():
    for architecture in SMALL:
        generator, discriminator = build_networks(architecture, z_dim=Z_DIM, image_shape=ImageShape())
        assert not any(isinstance(layer, Ballots) for layer in generator.modules())
        assert not isinstance(discriminator, ConditionalDiscriminator)
