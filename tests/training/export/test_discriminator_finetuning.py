"""Fine-tuning D: the images that it sees, that nothing else changes, and that it learns to tell real from other."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from models.images import ImageShape
from models.networks.conditional import ConditionalDiscriminator
from models.networks.layers import Dropout
from tests.training.support import make_game, tiny_images, tiny_recipe
from training.data.dataset import Dataset
from training.errors import NotFiniteError, RunError
from training.export import discriminator_finetuning as module
from training.export import negatives
from training.export.discriminator_finetuning import (
    JudgePlan,
    Opponents,
    draw_opponents,
    earlier_samples,
    train_judge,
)
from training.export.negatives import WeightedNegative
from training.gan.game import Game
from training.recipe import Recipe

SIDE = 16


@pytest.fixture(autouse=True)
def few_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negatives, "GLYPHS", 60)


def dataset() -> Dataset:
    images = torch.from_numpy(tiny_images(300))[:, None]
    return Dataset("d", images[:280], images[280:], ImageShape(height=SIDE, width=SIDE))


def samples(*greys: int) -> dict[int, torch.Tensor]:
    """Return samples by epoch; all pixels of epoch k have the grey level `greys[k]`."""
    return {epoch: torch.full((64, 1, SIDE, SIDE), grey, dtype=torch.uint8) for epoch, grey in enumerate(greys)}


def judged(game: Game, recipe: Recipe, *, seed: int = 4, data: Dataset | None = None) -> tuple[nn.Module, list[str]]:
    said: list[str] = []
    data = data or dataset()
    judge = train_judge(
        game.discriminator,
        game.average.network,
        data,
        JudgePlan.of_recipe(recipe, data),
        samples=samples(90, 120, 150),
        seed=seed,
        say=said.append,
    )
    return judge, said


def state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, b[name]) for name, tensor in a.items())


RECIPE = tiny_recipe("mlp", "judge_steps=20")


# --- Other networks stay ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("architecture.hidden_keep_probability=0.5",),
        ("architecture.group_deviation=true", "batch_size=8"),
        ("packing=2", "batch_size=8"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_both_arguments_stay_as_they_are(overrides: tuple[str, ...], training: bool):
    recipe = tiny_recipe("mlp", "judge_steps=3", *overrides)
    game = make_game(recipe)
    for network in (game.discriminator, game.average.network):
        network.train(training)
    before = state(game.discriminator), state(game.average.network)
    modes = [layer.training for part in (game.discriminator, game.average.network) for layer in part.modules()]
    rng, rows = torch.get_rng_state(), game.rng.get_state()
    judge, _ = judged(game, recipe)
    assert same(before[0], state(game.discriminator))
    assert same(before[1], state(game.average.network))
    assert all(parameter.grad is None for parameter in game.discriminator.parameters())
    assert [layer.training for p in (game.discriminator, game.average.network) for layer in p.modules()] == modes
    assert all(layer.rng is game.rng for layer in game.discriminator.modules() if isinstance(layer, Dropout))
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(game.rng.get_state(), rows)
    assert judge is not game.discriminator
    assert not any(layer.training for layer in judge.modules())
    assert not same(before[0], state(judge))


def test_the_same_seed_gives_the_same_judge():
    game = make_game(RECIPE)
    one, again, other = (judged(game, RECIPE, seed=seed)[0] for seed in (4, 4, 5))
    assert same(state(one), state(again))
    assert not same(state(one), state(other))


def test_it_tells_every_tenth_of_the_way():
    said = judged(make_game(RECIPE), RECIPE)[1]
    assert len(said) == 10
    assert said[0].startswith("fine-tuning of D: step 2 of 20, loss 0.")
    assert said[-1].startswith("fine-tuning of D: step 20 of 20, loss ")


def test_no_step_is_the_same_d_but_for_its_balance():
    game = make_game(RECIPE)
    judge, said = judged(game, tiny_recipe("mlp", "judge_steps=0"))
    changed = {
        name for name, tensor in state(judge).items() if not torch.equal(tensor, game.discriminator.state_dict()[name])
    }
    assert len(changed) == 1
    assert changed.pop().endswith(".bias")
    assert said == []


def test_a_nan_stops_it_and_says_where():
    game = make_game(RECIPE)
    with torch.no_grad():
        next(game.discriminator.parameters()).fill_(float("nan"))
    with pytest.raises(NotFiniteError, match=r"^fine-tuning of D, step 1: its loss is nan"):
        judged(game, RECIPE)


# --- Its images -------------------------------------------------------------------------------------


def constant(grey: float) -> negatives.Negative:
    return lambda real, _rng: torch.full_like(real, grey)


@pytest.mark.parametrize(("n", "of_earlier"), [(128, 26), (10, 2), (1000, 200)])
def test_a_fifth_of_gs_youth_and_the_rest_by_weight(n: int, of_earlier: int):
    earlier = torch.full((5, 1, SIDE, SIDE), 51, dtype=torch.uint8)  # −0.6
    kinds = (
        WeightedNegative(constant(0.2), 1.0),
        WeightedNegative(constant(0.4), 3.0),
        WeightedNegative(constant(0.9), 0.0),
    )
    opponents = Opponents(earlier, kinds)
    counts: dict[float, int] = {}
    real = torch.zeros(n, 1, SIDE, SIDE)
    rng = torch.Generator().manual_seed(0)
    for _ in range(40):
        fakes = draw_opponents(opponents, real, rng)
        assert fakes.shape == (n, 1, SIDE, SIDE)
        for grey in fakes[:, 0, 3, 3].tolist():
            counts[round(grey, 4)] = counts.get(round(grey, 4), 0) + 1
    assert counts[-0.6] == 40 * of_earlier
    assert set(counts) == {-0.6, 0.2, 0.4}
    rest = 40 * (n - of_earlier)
    assert counts[0.4] / rest == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / rest) ** 0.5)


def test_negatives_are_made_of_the_batchs_own_images_each_once():
    seen: list[float] = []

    def keep(real: torch.Tensor, _rng: torch.Generator) -> torch.Tensor:
        seen.extend(real[:, 0, 0, 0].tolist())
        return real

    real = torch.arange(100.0)[:, None, None, None].expand(100, 1, SIDE, SIDE)
    earlier = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.uint8)
    draw_opponents(
        Opponents(earlier, (WeightedNegative(keep, 1.0), WeightedNegative(keep, 1.0))), real, torch.Generator()
    )
    assert len(seen) == len(set(seen)) == 80
    assert seen != sorted(seen)


def test_earlier_samples_are_of_the_first_half_of_the_training():
    seen = earlier_samples(samples(10, 60, 110, 160, 210))
    assert seen.shape == (3 * 64, 1, SIDE, SIDE)
    assert seen.dtype == torch.uint8
    assert [int(grey) for grey in seen.flatten(1).unique(dim=0)[:, 0]] == [10, 60, 110]
    assert len(earlier_samples(samples(10, 60))) == 64  # only the untrained G's
    assert len(earlier_samples(samples(10))) == 64
    late = {9: samples(9)[0], 1: samples(1)[0], 4: samples(4)[0], 5: samples(5)[0]}  # in a mixed order
    assert earlier_samples(late)[::64, 0, 0, 0].tolist() == [1, 4]
    with pytest.raises(RunError, match=r"of epochs 0 to 4 there is no picture, only of 5, 9: put the pictures of"):
        earlier_samples({9: late[9], 5: late[5]})


def test_its_real_images_are_training_images(monkeypatch: pytest.MonkeyPatch):
    shown: list[torch.Tensor] = []
    draw = module.draw_opponents

    def watch(opponents: Opponents, real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        shown.append(real.clone())
        return draw(opponents, real, rng)

    monkeypatch.setattr(module, "draw_opponents", watch)
    judged(make_game(RECIPE), RECIPE)
    data = dataset()
    training, held_out = (
        {image.numpy().tobytes() for image in images.float() / 127.5 - 1} for images in (data.images, data.held_out)
    )
    seen = {image.numpy().tobytes() for batch in shown for image in batch}
    assert len(shown) == 20
    assert all(len(batch) == module.BATCH_SIZE for batch in shown)
    assert seen <= training
    assert not seen & held_out
    assert len(seen) > 270  # of 280: they are drawn from all images


@pytest.mark.parametrize(
    ("share", "digits", "of_varied"), [(0.5, 1, 64), (1.0, 1, 128), (0.0, 1, 0), (0.5, 3, 0), (0.5, 0, 0)]
)
def test_a_share_of_its_real_digits_are_variations(
    monkeypatch: pytest.MonkeyPatch, share: float, digits: int, of_varied: int
):
    """Only single handwritten digits are varied; a person's own images are not."""
    shown: list[torch.Tensor] = []
    draw = module.draw_opponents

    def watch(opponents: Opponents, real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        shown.append(real.clone())
        return draw(opponents, real, rng)

    monkeypatch.setattr(module, "draw_opponents", watch)
    recipe = tiny_recipe("mlp", "judge_steps=4", f"judge_variations={share}")
    data = replace(dataset(), digits=digits)
    judged(make_game(recipe), recipe, data=data)
    training = {image.numpy().tobytes() for image in data.images.float() / 127.5 - 1}
    assert len(shown) == 4
    for batch in shown:
        unchanged = [image.numpy().tobytes() in training for image in batch]
        assert unchanged == [False] * of_varied + [True] * (module.BATCH_SIZE - of_varied)


# --- Its balance -----------------------------------------------------------------------------------


class Brightness(nn.Module):
    """A D whose logit is a weight times the first pixel of the picture, plus a bias."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.linear.weight.data.fill_(3.0)
        self.linear.bias.data.fill_(bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(images.flatten(1)[:, :1])[:, 0]
        return logits


@pytest.mark.parametrize("bias", [-40.0, 0.0, 7.0])
def test_the_balance_is_where_v_is_largest(bias: float):
    """Compare with a brute-force search over biases in float64, with equation 1 written out."""
    rng = np.random.default_rng(0)
    real, z = rng.normal(0.4, 1, 700).astype(np.float32), rng.normal(-0.2, 1, 600).astype(np.float32)
    d = Brightness(bias).eval()
    module.balance(d, nn.Flatten(), torch.from_numpy(real)[:, None, None, None], torch.from_numpy(z)[:, None])
    biases = np.linspace(-3, 3, 6001)[:, None]
    values = -np.logaddexp(0, -(3.0 * real + biases)).mean(axis=1) - np.logaddexp(0, 3.0 * z + biases).mean(axis=1)
    assert float(d.linear.bias.detach()) == pytest.approx(float(biases[values.argmax(), 0]), abs=0.002)
    d_real, d_fake = (torch.sigmoid(3.0 * torch.from_numpy(x) + d.linear.bias.detach()).mean() for x in (real, z))
    assert float(d_real) == pytest.approx(1 - float(d_fake), abs=1e-5)


def test_a_judge_is_balanced_on_gs_own_samples():
    game = make_game(RECIPE)
    judge, _ = judged(game, RECIPE)
    with torch.no_grad():
        real = dataset().images.float() / 127.5 - 1
        z = torch.randn(4000, RECIPE.z_dim, generator=torch.Generator().manual_seed(9))
        d_real, d_fake = (torch.sigmoid(judge(x)).mean() for x in (real, game.average.network.eval()(z)))
    assert float(d_real) == pytest.approx(1 - float(d_fake), abs=0.05)


# --- What it learns ----------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_learns_that_noise_and_a_blank_page_are_not_real(precision: str):
    recipe = tiny_recipe("mlp", "judge_steps=250", f"precision={precision}", "architecture.discriminator_widths=[64]")
    game = make_game(recipe)
    judge, _ = judged(game, recipe)
    data = dataset()
    real = data.held_out.float() / 127.5 - 1
    rng = torch.Generator().manual_seed(8)
    fakes = {
        "noise": torch.rand(20, 1, SIDE, SIDE, generator=rng) * 2 - 1,
        "blank": torch.full((20, 1, SIDE, SIDE), -1.0),
        "inverted": -real,
        "G's": game.average.network(torch.randn(20, 4, generator=rng)),
    }

    def preferred(network: nn.Module, images: torch.Tensor) -> float:
        """Return the share of pairs in which the real image has the higher logit."""
        with torch.no_grad():
            a, b = network(real), network(images)
        return float((a[:, None] > b[None]).double().mean())

    assert min(preferred(judge, images) for images in fakes.values()) > 0.95
    before = copy.deepcopy(game.discriminator).eval()
    assert min(preferred(before, images) for images in fakes.values()) < 0.9


def test_a_conditional_d_is_judged_by_the_logit_that_knows_no_class():
    recipe = tiny_recipe("mlp", "judge_steps=200", "z_dim=6", "architecture.discriminator_widths=[32]")
    game = Game(
        recipe,
        shape=ImageShape(height=SIDE, width=SIDE),
        pixel_means=torch.full((1, SIDE, SIDE), 0.3),
        class_shares=np.array([0.5, 0.3, 0.2]),
        seed=1,
        device=torch.device("cpu"),
    )
    judge, _ = judged(game, recipe)
    assert isinstance(judge, ConditionalDiscriminator)
    with torch.no_grad():
        real = judge(dataset().held_out.float() / 127.5 - 1)
        blank = judge(torch.full((1, 1, SIDE, SIDE), -1.0))
    assert real.shape == (20,)
    assert float((real > blank).double().mean()) > 0.9
