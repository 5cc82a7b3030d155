"""The losses, compared with the paper's formulas in float64."""

import math

import pytest
import torch

from training.gan.losses import LOSSES, discriminator_loss, minimax_loss, non_saturating_loss, value

REAL = [2.0, -1.0, 0.5, 3.0]
FAKE = [-2.0, 0.25, 1.5]


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


MEAN_LOG_D_REAL = mean([math.log(sigmoid(x)) for x in REAL])
MEAN_LOG_D_FAKE = mean([math.log(sigmoid(x)) for x in FAKE])
MEAN_LOG_1_MINUS_D_FAKE = mean([math.log(1 - sigmoid(x)) for x in FAKE])


def test_discriminator_loss_is_the_mean_of_its_two_cross_entropies():
    wanted = -(MEAN_LOG_D_REAL + MEAN_LOG_1_MINUS_D_FAKE) / 2
    assert float(discriminator_loss(torch.tensor(REAL), torch.tensor(FAKE))) == pytest.approx(wanted, rel=1e-6)


def test_value_is_equation_1():
    wanted = MEAN_LOG_D_REAL + MEAN_LOG_1_MINUS_D_FAKE
    assert float(value(torch.tensor(REAL), torch.tensor(FAKE))) == pytest.approx(wanted, rel=1e-6)


def test_generator_losses():
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    assert float(non_saturating_loss(real, fake)) == pytest.approx(-MEAN_LOG_D_FAKE, rel=1e-6)
    assert float(minimax_loss(real, fake)) == pytest.approx(MEAN_LOG_1_MINUS_D_FAKE, rel=1e-6)
    assert LOSSES["non-saturating"] == (discriminator_loss, non_saturating_loss)
    assert LOSSES["minimax"] == (discriminator_loss, minimax_loss)


def test_the_optimum_where_d_cannot_tell():
    zeros = torch.zeros(7, dtype=torch.float64)
    assert float(discriminator_loss(zeros, zeros)) == pytest.approx(math.log(2), rel=1e-12)
    assert float(value(zeros, zeros)) == pytest.approx(-math.log(4), rel=1e-12)
    assert float(non_saturating_loss(zeros, zeros)) == pytest.approx(math.log(2), rel=1e-12)
    assert float(minimax_loss(zeros, zeros)) == pytest.approx(-math.log(2), rel=1e-12)


def test_real_and_fake_batches_of_different_sizes_weigh_the_same():
    one = discriminator_loss(torch.tensor([1.0]), torch.tensor([2.0]))
    many = discriminator_loss(torch.full((9,), 1.0), torch.full((2,), 2.0))
    torch.testing.assert_close(one, many)


def test_d_raises_real_logits_and_lowers_fake_ones():
    real, fake = torch.tensor(REAL, requires_grad=True), torch.tensor(FAKE, requires_grad=True)
    discriminator_loss(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    # d/dl of −log σ(l) is −(1 − σ(l)); of −log(1 − σ(l)) it is σ(l).
    assert real.grad.tolist() == pytest.approx([-(1 - sigmoid(x)) / 2 / len(REAL) for x in REAL], rel=1e-5)
    assert fake.grad.tolist() == pytest.approx([sigmoid(x) / 2 / len(FAKE) for x in FAKE], rel=1e-5)


def test_both_losses_of_g_raise_fake_logits_and_minimax_saturates_where_d_wins():
    gradients = {}
    for name in ("non-saturating", "minimax"):
        fake = torch.tensor([-6.0, 0.0, 6.0], requires_grad=True)
        LOSSES[name].generator(torch.tensor(REAL), fake).backward()
        assert fake.grad is not None
        gradients[name] = (fake.grad * 3).tolist()
        assert max(gradients[name]) < 0  # descending the loss raises the logit
    assert gradients["non-saturating"] == pytest.approx([-(1 - sigmoid(x)) for x in (-6, 0, 6)], rel=1e-4)
    assert gradients["minimax"] == pytest.approx([-sigmoid(x) for x in (-6, 0, 6)], rel=1e-4)
    assert gradients["non-saturating"][0] < -0.99  # it is strong while D wins, as section 3 says
    assert gradients["minimax"][0] > -0.01


@pytest.mark.parametrize("logit", [-1e30, -1e4, -100.0, 100.0, 1e4, 1e30])
def test_extreme_logits_stay_finite_with_their_gradients(logit: float):
    for loss in (discriminator_loss, value, non_saturating_loss, minimax_loss):
        logits = torch.full((4,), logit, requires_grad=True)
        result = loss(logits, logits)
        result.backward()
        assert torch.isfinite(result)
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


def test_an_extreme_logit_costs_its_own_size():
    logits = torch.tensor([-1e4])
    assert float(non_saturating_loss(logits, logits)) == pytest.approx(1e4)
    assert float(minimax_loss(-logits, -logits)) == pytest.approx(-1e4)
