"""The losses of later papers, compared with values worked out by hand in float64, and the signs of their gradients."""

import math
from typing import get_args

import pytest
import torch

from models.model_folder.game_rules import LossName
from training.gan.losses import (
    LOSSES,
    Loss,
    discriminator_loss,
    hinge_discriminator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_loss,
    non_saturating_loss,
    raise_fakes_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
    value,
    wasserstein_discriminator_loss,
)

REAL = [2.0, -1.0, 0.5, 3.0]
FAKE = [-2.0, 0.25, 1.5, -0.5]


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


def float64(numbers: list[float]) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def gradients(loss: Loss, real: list[float], fake: list[float]) -> tuple[list[float], list[float]]:
    """Return the loss's gradient with respect to each logit; 0 for logits that it does not use."""
    tensors = float64(real).requires_grad_(), float64(fake).requires_grad_()
    found = torch.autograd.grad(loss(*tensors), tensors, allow_unused=True, materialize_grads=True)
    return found[0].tolist(), found[1].tolist()


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        # real: 1 − 2 and 1 − 3 are below 0; fake: 1 − 2 is below 0.
        (hinge_discriminator_loss, ((0 + 2 + 0.5 + 0) / 4 + (0 + 1.25 + 2.5 + 0.5) / 4) / 2),
        (raise_fakes_loss, -(-2 + 0.25 + 1.5 - 0.5) / 4),
        (
            least_squares_discriminator_loss,
            ((1**2 + 2**2 + 0.5**2 + 2**2) / 4 + (2**2 + 0.25**2 + 1.5**2 + 0.5**2) / 4) / 2,
        ),
        (least_squares_generator_loss, (3**2 + 0.75**2 + 0.5**2 + 1.5**2) / 4 / 2),
        (wasserstein_discriminator_loss, (-2 + 0.25 + 1.5 - 0.5) / 4 - (2 - 1 + 0.5 + 3) / 4),
        (
            relativistic_discriminator_loss,
            mean([-math.log(sigmoid(real - fake)) for real, fake in zip(REAL, FAKE, strict=True)]),
        ),
        (
            relativistic_generator_loss,
            mean([-math.log(sigmoid(fake - real)) for real, fake in zip(REAL, FAKE, strict=True)]),
        ),
    ],
    ids=lambda parameter: getattr(parameter, "__name__", ""),
)
def test_losses_at_known_points(loss: Loss, wanted: float):
    assert float(loss(float64(REAL), float64(FAKE))) == pytest.approx(wanted, rel=1e-12)
    assert float(loss(torch.tensor(REAL), torch.tensor(FAKE))) == pytest.approx(wanted, rel=1e-6)


def test_every_name_has_its_pair_of_losses():
    assert set(LOSSES) == set(get_args(LossName))
    assert LOSSES["non-saturating"] == (discriminator_loss, non_saturating_loss)
    assert LOSSES["minimax"] == (discriminator_loss, minimax_loss)
    assert LOSSES["hinge"] == (hinge_discriminator_loss, raise_fakes_loss)
    assert LOSSES["least-squares"] == (least_squares_discriminator_loss, least_squares_generator_loss)
    assert LOSSES["wasserstein"] == (wasserstein_discriminator_loss, raise_fakes_loss)
    assert LOSSES["relativistic"] == (relativistic_discriminator_loss, relativistic_generator_loss)


@pytest.mark.parametrize("name", get_args(LossName))
def test_a_step_of_d_raises_real_logits_and_lowers_fake_ones(name: LossName):
    real, fake = gradients(LOSSES[name].discriminator, [0.3, -0.4], [0.2, 0.6])  # between the targets of all
    assert max(real) < 0
    assert min(fake) > 0


@pytest.mark.parametrize("name", get_args(LossName))
def test_a_step_of_g_raises_fake_logits(name: LossName):
    _, fake = gradients(LOSSES[name].generator, [0.3, -0.4], [0.2, 0.6])
    assert max(fake) < 0


@pytest.mark.parametrize("name", get_args(LossName))
def test_only_a_relativistic_g_looks_at_real_logits(name: LossName):
    real, _ = gradients(LOSSES[name].generator, [0.3, -0.4], [0.2, 0.6])
    if name == "relativistic":
        assert min(real) > 0  # it lowers them
    else:
        assert real == [0, 0]


def test_gradients_of_d_by_hand():
    # Hinge: −1/2n where real < 1, 1/2n where fake > −1, and nothing beyond the margins.
    real, fake = gradients(hinge_discriminator_loss, REAL, FAKE)
    assert real == pytest.approx([0, -1 / 8, -1 / 8, 0])
    assert fake == pytest.approx([0, 1 / 8, 1 / 8, 1 / 8])
    # Least squares: (real − 1)/n and fake/n.
    real, fake = gradients(least_squares_discriminator_loss, REAL, FAKE)
    assert real == pytest.approx([(x - 1) / 4 for x in REAL])
    assert fake == pytest.approx([x / 4 for x in FAKE])
    real, fake = gradients(wasserstein_discriminator_loss, REAL, FAKE)
    assert real == pytest.approx([-1 / 4] * 4)
    assert fake == pytest.approx([1 / 4] * 4)
    # d/dx of softplus(x) is σ(x).
    real, fake = gradients(relativistic_discriminator_loss, REAL, FAKE)
    slopes = [sigmoid(fake - real) / 4 for real, fake in zip(REAL, FAKE, strict=True)]
    assert real == pytest.approx([-slope for slope in slopes])
    assert fake == pytest.approx(slopes)


def test_gradients_of_g_by_hand():
    assert gradients(raise_fakes_loss, REAL, FAKE)[1] == pytest.approx([-1 / 4] * 4)
    assert gradients(least_squares_generator_loss, REAL, FAKE)[1] == pytest.approx([(x - 1) / 4 for x in FAKE])
    real, fake = gradients(relativistic_generator_loss, REAL, FAKE)
    slopes = [sigmoid(real - fake) / 4 for real, fake in zip(REAL, FAKE, strict=True)]
    assert real == pytest.approx(slopes)
    assert fake == pytest.approx([-slope for slope in slopes])


def test_values_at_the_optimum():
    """At the optimum D cannot tell: its logits are 0, or ½ with least squares, whose targets are 0 and 1."""
    zeros = torch.zeros(7, dtype=torch.float64)
    optimum = {name: [float(loss(zeros, zeros)) for loss in pair] for name, pair in LOSSES.items()}
    assert optimum["non-saturating"] == pytest.approx([math.log(2), math.log(2)], rel=1e-12)
    assert optimum["minimax"] == pytest.approx([math.log(2), -math.log(2)], rel=1e-12)
    assert optimum["relativistic"] == pytest.approx([math.log(2), math.log(2)], rel=1e-12)
    assert optimum["hinge"] == [1, 0]
    assert optimum["wasserstein"] == [0, 0]
    assert float(value(zeros, zeros)) == pytest.approx(-math.log(4), rel=1e-12)
    halves = zeros + 0.5
    assert float(least_squares_discriminator_loss(halves, halves)) == pytest.approx(0.25, rel=1e-12)
    assert float(least_squares_generator_loss(halves, halves)) == pytest.approx(0.125, rel=1e-12)


def test_hinge_costs_nothing_beyond_its_margins():
    assert float(hinge_discriminator_loss(float64([1.0, 5.0]), float64([-1.0, -9.0]))) == 0


def test_least_squares_cost_nothing_at_their_targets():
    assert float(least_squares_discriminator_loss(float64([1, 1]), float64([0, 0]))) == 0
    assert float(least_squares_generator_loss(float64([0, 0]), float64([1, 1]))) == 0


def test_a_relativistic_loss_pairs_rows():
    real, fake = float64([0.0, 4.0]), float64([0.0, 4.0])
    assert float(relativistic_discriminator_loss(real, fake)) == pytest.approx(math.log(2), rel=1e-12)
    crossed = (math.log(1 + math.exp(4)) + math.log(1 + math.exp(-4))) / 2
    assert float(relativistic_discriminator_loss(real, fake.flip(0))) == pytest.approx(crossed, rel=1e-12)


@pytest.mark.parametrize("name", ["relativistic", "wasserstein"])
def test_what_compares_logits_does_not_see_a_constant_added_to_all(name: LossName):
    real, fake = float64(REAL), float64(FAKE)
    before = float(LOSSES[name].discriminator(real, fake))
    assert float(LOSSES[name].discriminator(real + 17, fake + 17)) == pytest.approx(before, rel=1e-12)


@pytest.mark.parametrize("name", ["non-saturating", "minimax", "hinge", "least-squares", "wasserstein"])
def test_batches_of_different_sizes_weigh_the_same(name: LossName):
    pair = LOSSES[name]
    one, many = (float64([0.25]), float64([0.75])), (float64([0.25] * 9), float64([0.75] * 2))
    assert float(pair.discriminator(*many)) == pytest.approx(float(pair.discriminator(*one)), rel=1e-12)
    assert float(pair.generator(*many)) == pytest.approx(float(pair.generator(*one)), rel=1e-12)


@pytest.mark.parametrize("logit", [-1e30, -1e4, 1e4, 1e30])
@pytest.mark.parametrize("loss", [relativistic_discriminator_loss, relativistic_generator_loss])
def test_extreme_differences_stay_finite_with_their_gradients(loss: Loss, logit: float):
    real, fake = torch.full((4,), logit, requires_grad=True), torch.full((4,), -logit, requires_grad=True)
    result = loss(real, fake)
    assert torch.isfinite(result)
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(result, (real, fake)))
