"""The game's steps: which weights change, which do not, and each step compared with one written out by hand."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import ImageShape
from models.networks.residual import ResidualBlock
from tests.training.support import TINY, make_game, real_batch_of, tiny_dataset, tiny_recipe
from training.config import RunConfig
from training.data.dataset import Dataset
from training.errors import NotFiniteError
from training.gan.discriminator_loss import LabelledImages
from training.gan.game import DiscriminatorStep, Game, draw
from training.run.loop import epoch_batches, play_step, real_batch
from training.run.progress import Progress

SGD = '{name="sgd", learning_rate=0.3, learning_rate_decay=1.5, momentum_start=0.5, momentum_final=0.9}'
ADAM = '{name="adam", learning_rate=0.01, learning_rate_final=0.001, beta1=0.5, beta2=0.9}'


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(before: list[torch.Tensor], after: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def all_moved(before: list[torch.Tensor], after: list[torch.Tensor]) -> bool:
    return not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def following(game: Game) -> torch.Generator:
    """Return a generator that will draw the same numbers as the game's own."""
    rng = torch.Generator()
    rng.set_state(game.rng.get_state())
    return rng


def bolder(game: Game) -> Game:
    """Scale the weights of the paper's D by 50, because at first they are so small that float32 loses G's steps.

    The last layer of each residual block gets weights: at first it is 0, and the layers before it have no gradient.
    """
    with torch.no_grad():
        for block in (*game.generator.modules(), *game.discriminator.modules()):
            if isinstance(block, ResidualBlock):
                block.convolutions[-1].weight.fill_(0.1)
        for parameter in game.discriminator.parameters():
            parameter.mul_(50 if game.recipe.architecture.name == "goodfellow2014" else 1)
    return game


# --- Who moves ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TINY)
def test_a_d_step_moves_d_and_leaves_g_without_gradient(name: str):
    game = make_game(tiny_recipe(name))
    g, d = weights(game.generator), weights(game.discriminator)
    for _ in range(2):  # in the paper's D all but the last layer have zero gradients at first
        game.discriminator_step(real_batch_of(9))
    assert same(g, weights(game.generator))
    assert all(parameter.grad is None for parameter in game.generator.parameters())
    assert all_moved(d, weights(game.discriminator))
    assert same(g, weights(game.average.network))  # the average changes only after G's step


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_a_g_step_moves_g_and_leaves_d_without_gradient(name: str, loss: str):
    game = bolder(make_game(tiny_recipe(name, f"loss={loss}")))
    g, d = weights(game.generator), weights(game.discriminator)
    state = {n: t.clone() for n, t in game.discriminator.state_dict().items()}
    game.generator_step(real_batch_of(200))  # many latents: no rectifier of the paper's G is dead for all of them
    assert all_moved(g, weights(game.generator))
    assert same(d, weights(game.discriminator))
    assert all(torch.equal(t, state[n]) for n, t in game.discriminator.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in game.discriminator.parameters())


def test_a_g_step_does_not_add_to_the_gradients_of_d():
    game = make_game(tiny_recipe())
    game.discriminator_step(real_batch_of(9))
    before = [p.grad.clone() for p in game.discriminator.parameters() if p.grad is not None]
    game.generator_step(real_batch_of(9))
    after = [p.grad for p in game.discriminator.parameters() if p.grad is not None]
    assert len(before) == len(list(game.discriminator.parameters()))
    assert same(before, after)


def test_steps_go_the_right_way():
    """While the other player is fixed, D's steps lower D's loss, and G's steps lower G's."""
    game = make_game(tiny_recipe("mlp", f"discriminator_optimiser={ADAM}", f"generator_optimiser={ADAM}"))
    images = real_batch_of(9)
    first = game.discriminator_step(images)
    for _ in range(30):
        last = game.discriminator_step(images)
    assert last.loss < first.loss / 2
    assert last.d_real > first.d_real
    assert last.d_fake < first.d_fake
    start = game.generator_step(real_batch_of(9))
    for _ in range(60):
        end = game.generator_step(real_batch_of(9))
    assert end < start / 2


@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_both_losses_of_g_raise_d_of_g(loss: str):
    game = make_game(tiny_recipe("mlp", f"loss={loss}", f"generator_optimiser={ADAM}"))
    for _ in range(3):
        game.discriminator_step(real_batch_of(9))
    z = draw("normal", 64, 4, rng=torch.Generator().manual_seed(0))

    def d_of_g() -> float:
        with torch.no_grad():
            return float(torch.sigmoid(game.discriminator(game.generator(z))).mean())

    before = d_of_g()
    for _ in range(20):
        game.generator_step(real_batch_of(9))
    assert d_of_g() > before + 0.05


# --- k steps of D, each a step, on its own batch and latents ---------------------------------------


def config_of(*overrides: str, train_images: int = 40) -> RunConfig:
    return RunConfig(
        recipe_name="tiny",
        recipe=tiny_recipe("mlp", *overrides),
        overrides=(),
        data="d",
        dataset="d",
        data_sha256="0" * 64,
        train_images=train_images,
        held_out_images=4,
        image_shape=ImageShape(height=16, width=16),
        seed=7,
        minutes=None,
        device="cpu",
        threads=1,
        torch_version="2",
        git_commit="unknown",
    )


def test_each_of_the_k_steps_changes_d_and_draws_its_own_latents(monkeypatch: pytest.MonkeyPatch):
    game = make_game(tiny_recipe("mlp", "d_steps=3"))
    data = tiny_dataset()
    seen_latents: list[torch.Tensor] = []
    seen_weights = [weights(game.discriminator)]
    seen_real: list[LabelledImages] = []
    draw_latents, discriminator_step = game.draw_latents, game.discriminator_step

    def drawing(n: int) -> torch.Tensor:
        seen_latents.append(draw_latents(n))
        return seen_latents[-1]

    def stepping(real: LabelledImages, *, step: int) -> object:
        seen = discriminator_step(real, step=step)
        seen_real.append(real)
        seen_weights.append(weights(game.discriminator))
        return seen

    monkeypatch.setattr(game, "draw_latents", drawing)
    monkeypatch.setattr(game, "discriminator_step", stepping)
    progress = Progress()
    play_step(game, data, next(epoch_batches(config_of("d_steps=3"), 1, start=0)), progress)

    assert len(seen_real) == 3
    assert all(all_moved(a, b) for a, b in pairwise(seen_weights))
    assert len(seen_latents) == 4  # three of D and G's own
    rows = torch.cat(seen_latents)
    assert len(torch.unique(rows, dim=0)) == len(rows) == 36
    assert len({real.images.numpy().tobytes() for real in seen_real}) == 3
    sums = progress.sums
    assert (sums.discriminator_steps, sums.generator_steps) == (3, 1)
    assert (progress.step, progress.position, progress.images) == (1, 1, 9)


def test_a_record_holds_the_means_of_its_own_epoch(monkeypatch: pytest.MonkeyPatch):
    config = config_of("d_steps=2")
    game = make_game(config.recipe)
    data = tiny_dataset()
    d_seen: list[DiscriminatorStep] = []
    g_seen: list[float] = []
    d_step, g_step = game.discriminator_step, game.generator_step

    def watch_d(real: LabelledImages, *, step: int) -> DiscriminatorStep:
        d_seen.append(d_step(real, step=step))
        return d_seen[-1]

    def watch_g(real: LabelledImages) -> float:
        g_seen.append(g_step(real))
        return g_seen[-1]

    monkeypatch.setattr(game, "discriminator_step", watch_d)
    monkeypatch.setattr(game, "generator_step", watch_g)
    progress = Progress()
    for epoch in (1, 2, 3):
        d_seen.clear()
        g_seen.clear()
        for batches in epoch_batches(config, epoch, start=0):
            play_step(game, data, batches, progress)
        progress.end_epoch(last=3, metrics={"frechet": 2.5 * epoch})
        record = progress.records[-1]
        assert (len(d_seen), len(g_seen)) == (8, 4)
        assert (record.epoch, record.images) == (epoch, 36 * epoch)
        assert record.metrics == {"frechet": 2.5 * epoch}
        assert record.loss_d == pytest.approx(np.mean([seen.loss for seen in d_seen]))
        assert record.d_real == pytest.approx(np.mean([seen.d_real for seen in d_seen]))
        assert record.d_fake == pytest.approx(np.mean([seen.d_fake for seen in d_seen]))
        assert record.loss_g == pytest.approx(np.mean(g_seen))
        assert record.value == pytest.approx(-2 * record.loss_d)
        assert (progress.epoch, progress.position, progress.finished) == (epoch + 1, 0, epoch == 3)


def test_the_batches_of_an_epoch():
    config = config_of("d_steps=3")
    epoch = list(epoch_batches(config, 2, start=0))
    assert len(epoch) == config.steps_per_epoch == 4  # the last 4 images of 40 are dropped
    for k in range(3):
        seen = torch.cat([batches[k] for batches in epoch]).tolist()
        assert len(set(seen)) == len(seen) == 36  # no image twice
        assert set(seen) <= set(range(40))
    for batches in epoch:
        assert len({tuple(batch.tolist()) for batch in batches}) == 3


def test_the_order_follows_from_seed_epoch_and_k_alone():
    def flat(batches: Iterator[list[torch.Tensor]]) -> list[list[int]]:
        return [[int(i) for batch in step for i in batch] for step in batches]

    config = config_of("d_steps=2")
    whole = flat(epoch_batches(config, 3, start=0))
    torch.manual_seed(1)
    assert flat(epoch_batches(config, 3, start=0)) == whole
    for start in range(5):
        assert flat(epoch_batches(config, 3, start=start)) == whole[start:]
    assert flat(epoch_batches(config, 4, start=0)) != whole
    assert flat(epoch_batches(config.model_copy(update={"seed": 8}), 3, start=0)) != whole
    with_one = flat(epoch_batches(config_of("d_steps=1"), 3, start=0))
    assert [step[:9] for step in whole] == with_one


def test_real_batch_is_the_loops_edge():
    images = torch.tensor([[0, 255], [51, 204]], dtype=torch.uint8).reshape(2, 1, 1, 2)
    data = Dataset("d", images, images, ImageShape.model_construct(height=1, width=2), labels=torch.tensor([7, 3]))
    for conditional, labels in ((False, None), (True, [3, 7])):
        batch = real_batch(data, torch.tensor([1, 0]), conditional=conditional)
        assert batch.images.dtype == torch.float32
        np.testing.assert_allclose(batch.images.flatten().numpy(), [-0.6, 0.6, -1, 1], atol=1e-6)
        assert (None if batch.labels is None else batch.labels.tolist()) == labels
    assert images.flatten().tolist() == [0, 255, 51, 204]  # the data stay as they are


# --- Each step against one by hand -------------------------------------------------------------------


class HandAdam:
    """Adam (Kingma and Ba 2014, algorithm 1) in float64."""

    def __init__(self, beta1: float, beta2: float) -> None:
        self.betas, self.t = (beta1, beta2), 0
        self.m: list[NDArray[np.float64]] = []
        self.v: list[NDArray[np.float64]] = []

    def step(self, parameters: list[NDArray[np.float64]], gradients: list[NDArray[np.float64]], lr: float) -> None:
        if not self.m:
            self.m, self.v = [0 * g for g in gradients], [0 * g for g in gradients]
        self.t += 1
        b1, b2 = self.betas
        for k, gradient in enumerate(gradients):
            self.m[k] = b1 * self.m[k] + (1 - b1) * gradient
            self.v[k] = b2 * self.v[k] + (1 - b2) * gradient**2
            m_hat, v_hat = self.m[k] / (1 - b1**self.t), self.v[k] / (1 - b2**self.t)
            parameters[k] -= lr * m_hat / (np.sqrt(v_hat) + 1e-8)


class HandMomentum:
    """v ← μ·v + ∇, θ ← θ − η·v, in float64."""

    def __init__(self) -> None:
        self.v: list[NDArray[np.float64]] = []

    def step(
        self, parameters: list[NDArray[np.float64]], gradients: list[NDArray[np.float64]], lr: float, momentum: float
    ) -> None:
        self.v = self.v or [0 * g for g in gradients]
        for k, gradient in enumerate(gradients):
            self.v[k] = momentum * self.v[k] + gradient
            parameters[k] -= lr * self.v[k]


def numbers(network: nn.Module) -> list[NDArray[np.float64]]:
    return [parameter.detach().double().numpy().copy() for parameter in network.parameters()]


def leaky(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x > 0, x, 0.2 * x)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def g_by_hand(parameters: list[NDArray[np.float64]], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tiny MLP's G in training mode: [n, 4] → [n, 256]."""
    x = z
    for layer in range(2):
        weight, bias, gain, shift = parameters[4 * layer : 4 * layer + 4]
        x = x @ weight.T + bias
        x = leaky((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * gain + shift)
    return np.tanh(x @ parameters[8].T + parameters[9])


def d_step_by_hand(
    parameters: list[NDArray[np.float64]], real: NDArray[np.float64], fake: NDArray[np.float64]
) -> tuple[list[NDArray[np.float64]], float, float, float]:
    """Return the gradients of D's loss, derived by hand, the loss, mean D(x) and mean D(G(z))."""
    w1, b1, w2, b2 = parameters
    x = np.concatenate([real, fake])
    hidden = x @ w1.T + b1
    active = leaky(hidden)
    d = sigmoid((active @ w2.T + b2)[:, 0])
    n = len(real)
    loss = -(np.log(d[:n]).mean() + np.log(1 - d[n:]).mean()) / 2
    by_logit = np.concatenate([d[:n] - 1, d[n:]])[:, None] / (2 * n)
    by_hidden = (by_logit @ w2) * np.where(hidden > 0, 1.0, 0.2)
    gradients = [by_hidden.T @ x, by_hidden.sum(0), by_logit.T @ active, by_logit.sum(0)]
    return gradients, float(loss), float(d[:n].mean()), float(d[n:].mean())


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_d_steps_equal_those_by_hand(optimiser: str):
    settings = ADAM if optimiser == "adam" else SGD
    game = make_game(tiny_recipe("mlp", f"discriminator_optimiser={settings}"))
    parameters = numbers(game.discriminator)
    adam, momentum = HandAdam(0.5, 0.9), HandMomentum()
    steps, epochs = 5, [1, 1, 2, 2, 2]
    for step, epoch in enumerate(epochs):
        real = real_batch_of(9, first=9 * step)
        z = torch.randn(9, 4, generator=following(game)).double().numpy()
        fake = g_by_hand(numbers(game.generator), z)
        gradients, loss, d_real, d_fake = d_step_by_hand(parameters, real.images.flatten(1).double().numpy(), fake)
        if optimiser == "adam":
            adam.step(parameters, gradients, lr=0.01 + (0.001 - 0.01) * step / steps)
        else:
            momentum.step(parameters, gradients, lr=0.3 / 1.5**step, momentum=0.5 if epoch == 1 else 0.9)

        game.set_rates(step=step, steps=steps, epoch=epoch)
        seen = game.discriminator_step(real)
        assert (seen.loss, seen.d_real, seen.d_fake) == pytest.approx((loss, d_real, d_fake), rel=1e-5)
        for hand, parameter in zip(parameters, game.discriminator.parameters(), strict=True):
            np.testing.assert_allclose(parameter.detach().numpy(), hand, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_g_steps_equal_those_by_hand(optimiser: str, loss: str):
    settings = ADAM if optimiser == "adam" else SGD
    game = make_game(tiny_recipe("mlp", f"generator_optimiser={settings}", f"loss={loss}"))
    game.discriminator_step(real_batch_of(9))
    adam, momentum = HandAdam(0.5, 0.9), HandMomentum()
    w1, b1, w2, b2 = (torch.from_numpy(p) for p in numbers(game.discriminator))
    parameters = numbers(game.generator)
    for step in range(4):
        z = torch.randn(9, 4, generator=following(game)).double()
        leaves = [torch.from_numpy(p.copy()).requires_grad_() for p in parameters]
        x = z
        for layer in range(2):
            weight, bias, gain, shift = leaves[4 * layer : 4 * layer + 4]
            x = x @ weight.T + bias
            x = (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + 1e-5) * gain + shift
            x = torch.where(x > 0, x, 0.2 * x)
        x = torch.tanh(x @ leaves[8].T + leaves[9]) @ w1.T + b1
        d = 1 / (1 + torch.exp(-(torch.where(x > 0, x, 0.2 * x) @ w2.T + b2)))
        wanted = torch.log(1 - d).mean() if loss == "minimax" else -torch.log(d).mean()
        gradients = [g.numpy() for g in torch.autograd.grad(wanted, leaves)]
        if optimiser == "adam":
            # A bias before batch normalisation has no gradient but rounding, which Adam scales up: it is left out.
            adam.step(parameters, gradients, lr=0.01 + (0.001 - 0.01) * step / 4)
        else:
            momentum.step(parameters, gradients, lr=0.3 / 1.5**step, momentum=0.5)

        game.set_rates(step=step, steps=4, epoch=1)
        assert game.generator_step(real_batch_of(9)) == pytest.approx(float(wanted.detach()), rel=1e-4)
        for index, (hand, parameter) in enumerate(zip(parameters, game.generator.parameters(), strict=True)):
            if index in (1, 5):
                parameters[index] = parameter.detach().double().numpy().copy()
                continue
            np.testing.assert_allclose(parameter.detach().numpy(), hand, rtol=1e-3, atol=1e-4)


def paper_d_by_hand(d: list[torch.Tensor], images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """The tiny paper's D with its dropout: [n, 256] float64 in [−1, 1] → D's outputs [n]."""
    n = len(images)
    x = (images + 1) / 2  # the paper's pixels in [0, 1]
    x = x * (torch.rand(n, 256, generator=rng) < 0.8) / 0.8
    for layer, units in enumerate((6, 5)):
        pieces = x @ d[2 * layer].T + d[2 * layer + 1]
        x = pieces.reshape(n, units, 3).amax(2)
        x = x * (torch.rand(n, units, generator=rng) < 0.5) / 0.5
    return torch.sigmoid(x @ d[4].T + d[5])[:, 0]


def test_the_papers_d_step_by_hand_with_masks_from_the_games_own_stream():
    game = make_game(tiny_recipe("goodfellow2014", f"discriminator_optimiser={SGD}"))
    momentum = HandMomentum()
    parameters = numbers(game.discriminator)
    for step in range(3):
        real = real_batch_of(9, first=9 * step)
        rng = following(game)
        z = (torch.rand(9, 4, generator=rng) * 2 - 1) * math.sqrt(3)
        g1, c1, g2, c2 = (torch.from_numpy(p) for p in numbers(game.generator))
        fake = 2 * torch.sigmoid(torch.relu(z.double() @ g1.T + c1) @ g2.T + c2) - 1
        leaves = [torch.from_numpy(p.copy()).requires_grad_() for p in parameters]
        d = paper_d_by_hand(leaves, torch.cat([real.images.flatten(1).double(), fake]), rng)
        loss = -(torch.log(d[:9]).mean() + torch.log(1 - d[9:]).mean()) / 2
        gradients = [g.numpy() for g in torch.autograd.grad(loss, leaves)]
        momentum.step(parameters, gradients, lr=0.3 / 1.5**step, momentum=0.5)

        game.set_rates(step=step, steps=3, epoch=1)
        assert game.discriminator_step(real).loss == pytest.approx(float(loss.detach()), rel=1e-6)
        assert torch.equal(game.rng.get_state(), rng.get_state())  # exactly as many random numbers were drawn
        for hand, parameter in zip(parameters, game.discriminator.parameters(), strict=True):
            np.testing.assert_allclose(parameter.detach().numpy(), hand, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
def test_a_simultaneous_step_by_hand(loss: str):
    """Both gradients use the same samples and masks, and D as it was before the step."""
    game = bolder(
        make_game(
            tiny_recipe(
                "goodfellow2014", f"discriminator_optimiser={SGD}", f"generator_optimiser={SGD}", f"loss={loss}"
            )
        )
    )
    of_d, of_g = HandMomentum(), HandMomentum()
    d_parameters, g_parameters = numbers(game.discriminator), numbers(game.generator)
    for step in range(3):
        real = real_batch_of(9, first=9 * step)
        rng = following(game)
        z = (torch.rand(9, 4, generator=rng) * 2 - 1) * math.sqrt(3)
        g = [torch.from_numpy(p.copy()).requires_grad_() for p in g_parameters]
        d = [torch.from_numpy(p.copy()).requires_grad_() for p in d_parameters]
        fake = 2 * torch.sigmoid(torch.relu(z.double() @ g[0].T + g[1]) @ g[2].T + g[3]) - 1
        probabilities = paper_d_by_hand(d, torch.cat([real.images.flatten(1).double(), fake]), rng)
        loss_d = -(torch.log(probabilities[:9]).mean() + torch.log(1 - probabilities[9:]).mean()) / 2
        loss_g = torch.log(1 - probabilities[9:]).mean() if loss == "minimax" else -torch.log(probabilities[9:]).mean()
        d_gradients = [gradient.numpy() for gradient in torch.autograd.grad(loss_d, d, retain_graph=True)]
        g_gradients = [gradient.numpy() for gradient in torch.autograd.grad(loss_g, g)]
        of_d.step(d_parameters, d_gradients, lr=0.3 / 1.5**step, momentum=0.5)
        of_g.step(g_parameters, g_gradients, lr=0.3 / 1.5**step, momentum=0.5)

        game.set_rates(step=step, steps=3, epoch=1)
        seen, seen_g = game.simultaneous_step(real)
        assert seen.loss == pytest.approx(float(loss_d.detach()), rel=1e-5)
        assert seen_g == pytest.approx(float(loss_g.detach()), rel=1e-5)
        assert seen.d_fake == pytest.approx(float(probabilities[9:].detach().mean()), rel=1e-5)
        assert torch.equal(game.rng.get_state(), rng.get_state())
        for hands, network in ((d_parameters, game.discriminator), (g_parameters, game.generator)):
            for hand, parameter in zip(hands, network.parameters(), strict=True):
                np.testing.assert_allclose(parameter.detach().numpy(), hand, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("k", [1, 3])
def test_simultaneous_updates_still_take_k_steps_of_d_and_one_of_g(k: int, monkeypatch: pytest.MonkeyPatch):
    game = make_game(tiny_recipe("mlp", "updates=simultaneous", f"d_steps={k}"))
    calls: list[str] = []
    for name in ("discriminator_step", "generator_step", "simultaneous_step"):
        method = getattr(game, name)

        def spy(*arguments: object, name: str = name, method: object = method, **options: object) -> object:
            calls.append(name)
            return method(*arguments, **options)  # type: ignore[operator]

        monkeypatch.setattr(game, name, spy)
    d, g = weights(game.discriminator), weights(game.generator)
    progress = Progress()
    play_step(game, tiny_dataset(), next(epoch_batches(config_of(f"d_steps={k}"), 1, start=0)), progress)
    assert calls == ["discriminator_step"] * (k - 1) + ["simultaneous_step"]
    assert (progress.sums.discriminator_steps, progress.sums.generator_steps) == (k, 1)
    assert all_moved(d, weights(game.discriminator))
    assert all_moved(g, weights(game.generator))


# --- Randomness ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TINY)
def test_a_game_draws_nothing_from_global_state_and_repeats(name: str):
    def play(global_seed: int) -> list[torch.Tensor]:
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002  (to show that it does not matter)
        game = make_game(tiny_recipe(name))
        for _ in range(2):
            game.discriminator_step(real_batch_of(9))
            game.generator_step(real_batch_of(9))
        return weights(game.generator) + weights(game.discriminator)

    assert same(play(1), play(2))


def test_steps_leave_the_global_generator_alone():
    game = make_game(tiny_recipe("goodfellow2014"))
    state = torch.get_rng_state()
    game.discriminator_step(real_batch_of(9))
    game.generator_step(real_batch_of(9))
    assert torch.equal(torch.get_rng_state(), state)


def test_another_seed_is_another_game():
    assert all_moved(
        weights(make_game(tiny_recipe("conv"), seed=1).generator)[:1],
        weights(make_game(tiny_recipe("conv"), seed=2).generator)[:1],
    )


@pytest.mark.parametrize(("prior", "bound"), [("uniform", math.sqrt(3)), ("normal", None)])
def test_latents_have_mean_0_and_variance_1(prior: str, bound: float | None):
    game = make_game(tiny_recipe("mlp", f"prior={prior}", "z_dim=100"))
    z = game.draw_latents(2000)
    assert z.shape == (2000, 100)
    assert z.dtype == torch.float32
    assert float(z.mean()) == pytest.approx(0, abs=0.01)
    assert float(z.var()) == pytest.approx(1, abs=0.02)
    if bound is None:
        assert float(z.abs().max()) > 3
    else:
        assert 1.73 < float(z.abs().max()) <= bound


# --- Precision, rates, errors ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mlp", "goodfellow2014", "conv"])
def test_bfloat16_plays_roughly_the_same_game(name: str):
    games = [make_game(tiny_recipe(name, f"precision={precision}")) for precision in ("float32", "bfloat16")]
    for step in range(10):
        real = real_batch_of(9, first=9 * step)
        exact, rounded = (game.discriminator_step(real) for game in games)
        assert rounded.loss == pytest.approx(exact.loss, abs=0.02)
        assert rounded.d_real == pytest.approx(exact.d_real, abs=0.02)
        g_exact, g_rounded = (game.generator_step(real_batch_of(9)) for game in games)
        assert g_rounded == pytest.approx(g_exact, abs=0.05)
    float32, bfloat16 = (weights(game.generator) for game in games)
    assert not same(float32, bfloat16)  # rounding had an effect
    assert all(tensor.dtype == torch.float32 for tensor in bfloat16)  # products only, never the weights


def test_set_rates_reaches_both_optimisers():
    game = make_game(
        tiny_recipe("mlp", f"generator_optimiser={SGD}", f"discriminator_optimiser={ADAM}"),
    )
    game.set_rates(step=2, steps=10, epoch=1)
    assert game.generator_optimiser.param_groups[0]["lr"] == pytest.approx(0.3 / 1.5**2)
    assert game.generator_optimiser.param_groups[0]["momentum"] == 0.5
    assert game.discriminator_optimiser.param_groups[0]["lr"] == pytest.approx(0.01 - 0.009 * 0.2)
    game.set_rates(step=3, steps=10, epoch=2)
    assert game.generator_optimiser.param_groups[0]["momentum"] == 0.9


@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_a_nan_stops_the_game_and_says_where(side: str):
    game = make_game(tiny_recipe())
    with torch.no_grad():
        next(getattr(game, side).parameters()).fill_(float("nan"))
    progress = Progress(epoch=4, step=11)
    with pytest.raises(NotFiniteError, match=r"^epoch 4, step 12: D's loss is nan.*learning_rate"):
        play_step(game, tiny_dataset(), next(epoch_batches(config_of(), 4, start=0)), progress)
    assert progress.step == 11


def test_a_nan_that_only_g_sees_is_named_as_gs():
    game = make_game(tiny_recipe())
    with torch.no_grad():
        next(game.generator.parameters()).fill_(float("nan"))
    with pytest.raises(NotFiniteError, match="G's loss is nan"):
        game.generator_step(real_batch_of(9))
