"""D's loss as a function: its penalties on a D whose gradient is known, and that it has no side effects."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.support import make_game, real_batch_of, real_images, tiny_recipe
from training.gan.discriminator_loss import (
    DiscriminatorLoss,
    LabelledImages,
    compute_discriminator_loss,
    join,
    logits_of,
)

SIDE = 16
PIXELS = SIDE * SIDE
N = 6


class Linear(nn.Module):
    """logit = w · x + b: its gradient is w at every image, so ‖∇D‖² = ‖w‖²."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(PIXELS, generator=rng) / 10)
        self.bias = nn.Parameter(torch.tensor(0.3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ self.weight + self.bias


def fakes(n: int = N) -> LabelledImages:
    return LabelledImages(real_images(3 * n)[2 * n :] * 0.5)


def loss_of(*overrides: str, step: int = 0, seed: int = 0) -> DiscriminatorLoss:
    rng = torch.Generator().manual_seed(seed)
    recipe = tiny_recipe("mlp", *overrides)
    return compute_discriminator_loss(Linear(), real_batch_of(N), fakes(), recipe=recipe, step=step, rng=rng)


def by_hand() -> tuple[float, float, float, float]:
    """Compute in float64: the cross-entropy loss, mean D(x), mean D(G(z)), and ‖w‖²."""
    d = Linear()
    w, b = d.weight.detach().double().numpy(), float(d.bias.detach())
    real, fake = (batch.images.flatten(1).double().numpy() @ w + b for batch in (real_batch_of(N), fakes()))
    d_real, d_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    return -(np.log(d_real).mean() + np.log(1 - d_fake).mean()) / 2, d_real.mean(), d_fake.mean(), float(w @ w)


def test_without_penalties_it_is_the_loss_of_the_logits():
    seen = loss_of()
    loss, d_real, d_fake, _ = by_hand()
    assert seen.total.item() == pytest.approx(loss, rel=1e-6)
    assert seen.figures.tolist() == pytest.approx([loss, d_real, d_fake, -2 * loss], rel=1e-6)
    assert torch.sigmoid(seen.real_logits).mean().item() == pytest.approx(d_real, rel=1e-6)
    assert torch.sigmoid(seen.fake_logits).mean().item() == pytest.approx(d_fake, rel=1e-6)
    assert not seen.figures.requires_grad


@pytest.mark.parametrize(
    ("overrides", "penalty"),
    [
        (("r1_gamma=3",), lambda square: 1.5 * square),
        (("r2_gamma=5",), lambda square: 2.5 * square),
        (("r1_gamma=3", "r2_gamma=5"), lambda square: 4 * square),
        (("gradient_penalty=7",), lambda square: 7 * (np.sqrt(square) - 1) ** 2),
        (("gradient_penalty=7", "r1_gamma=3"), lambda square: 7 * (np.sqrt(square) - 1) ** 2 + 1.5 * square),
    ],
)
def test_penalties_of_a_linear_d(overrides: tuple[str, ...], penalty):
    loss, *_, square = by_hand()
    for step, interval, times in ((0, 1, 1), (5, 1, 1), (0, 4, 4), (8, 4, 4), (7, 4, 0)):
        seen = loss_of(*overrides, f"penalty_interval={interval}", step=step)
        assert seen.total.item() == pytest.approx(loss + times * penalty(square), rel=1e-5)
        assert seen.figures[0].item() == pytest.approx(loss, rel=1e-6)  # the figures are those without penalties


def test_r1_is_of_real_images_and_r2_of_fakes():
    """A quadratic D, ½‖x‖², has the gradient x, so the penalty is the mean of ‖x‖² over the penalised images."""

    class Quadratic(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1).square().sum(1) / 2

    def penalty(*overrides: str) -> float:
        seen = compute_discriminator_loss(
            Quadratic(),
            real_batch_of(N),
            fakes(),
            recipe=tiny_recipe("mlp", *overrides, "loss=wasserstein"),
            step=0,
            rng=torch.Generator(),
        )
        return seen.total.item() - seen.figures[0].item()

    of_real, of_fake = (float(batch.images.square().sum((1, 2, 3)).mean()) for batch in (real_batch_of(N), fakes()))
    assert of_real > 2 * of_fake
    assert penalty("r1_gamma=2") == pytest.approx(of_real, rel=1e-4)
    assert penalty("r2_gamma=2") == pytest.approx(of_fake, rel=1e-4)


@pytest.mark.parametrize(
    "overrides", [(), ("r1_gamma=1", "r2_gamma=1"), ("gradient_penalty=10",), ("augmentation=0.7",)]
)
def test_it_changes_nothing_but_its_stream_of_random_numbers(overrides: tuple[str, ...]):
    game = make_game(tiny_recipe("mlp", *overrides))
    before = {name: tensor.clone() for name, tensor in game.discriminator.state_dict().items()}
    real, fake = real_batch_of(9), LabelledImages(real_images(18)[9:])
    copies = real.images.clone(), fake.images.clone()
    global_state = torch.get_rng_state()

    def compute(seed: int) -> DiscriminatorLoss:
        rng = torch.Generator().manual_seed(seed)
        return compute_discriminator_loss(game.discriminator, real, fake, recipe=game.recipe, step=0, rng=rng)

    one, again = compute(1), compute(1)
    assert torch.equal(one.total, again.total)
    assert torch.equal(real.images, copies[0])
    assert torch.equal(fake.images, copies[1])
    assert not real.images.requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in game.discriminator.state_dict().items())
    assert all(parameter.grad is None for parameter in game.discriminator.parameters())
    assert torch.equal(torch.get_rng_state(), global_state)
    draws = bool(overrides) and not overrides[0].startswith("r1")
    assert torch.equal(one.total, compute(2).total) is not draws


def test_a_batch_of_both_has_the_real_images_first_and_labels_only_if_both_have_them():
    real, fake = (
        LabelledImages(real_images(2), torch.tensor([1, 2])),
        LabelledImages(real_images(2).bfloat16(), torch.tensor([0, 3])),
    )
    both = join(real, fake)
    assert both.images.dtype == torch.float32
    assert torch.equal(both.images[:2], real.images)
    assert torch.equal(both.images[2:], fake.images.float())
    assert both.labels is not None
    assert both.labels.tolist() == [1, 2, 0, 3]
    assert join(LabelledImages(real.images), fake).labels is None
    assert join(real, LabelledImages(fake.images)).labels is None


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_logits_are_float32_whatever_the_precision(precision: str):
    game = make_game(tiny_recipe("mlp", f"precision={precision}"))
    logits = logits_of(game.discriminator, real_batch_of(4), recipe=game.recipe, rng=game.rng)
    assert logits.shape == (4,)
    assert logits.dtype == torch.float32
