"""The game with labels: the logit that each image changes, the class of each latent, and a whole labelled run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.images import ImageShape
from models.inference.sampler import Sampler
from models.latents import draw_latents
from models.model_folder.read import load_model
from models.networks.conditional import Ballots, ConditionalDiscriminator, ask_for_class, ballots_of
from tests.training.support import (
    CONSTANT_RATES,
    TINY_MLP,
    real_images,
    sets,
    tiny_images,
    tiny_recipe,
    write_pngs,
)
from training.cli.command_line import main
from training.config import resolve_config
from training.data.dataset import Dataset, load_dataset
from training.errors import RecipeError
from training.gan.discriminator_loss import LabelledImages
from training.gan.game import Game
from training.run import loop
from training.run.progress import Progress

CLASSES = 3
SHARES = np.array([0.5, 0.3, 0.2])
CONDITIONAL = ("conditional=true", "z_dim=7", *CONSTANT_RATES)


def make_game(*overrides: str, name: str = "mlp", seed: int = 3) -> Game:
    return Game(
        tiny_recipe(name, *CONDITIONAL, *overrides),
        shape=ImageShape(height=16, width=16),
        pixel_means=torch.full((1, 16, 16), 0.3),
        class_shares=SHARES,
        seed=seed,
        device=torch.device("cpu"),
    )


def batch(n: int = 9) -> LabelledImages:
    return LabelledImages(real_images(n), torch.arange(n) % CLASSES)


class Watched(ConditionalDiscriminator):
    """A D that records the images and labels that it is asked about."""

    def __init__(self, discriminator: ConditionalDiscriminator) -> None:
        super().__init__(discriminator.body)
        self.asked: list[tuple[torch.Tensor, torch.Tensor]] = []

    def class_logits(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.asked.append((images.detach(), labels))
        return super().class_logits(images, labels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the game has labels: D must be asked about a class")


def watched(game: Game) -> Watched:
    assert isinstance(game.discriminator, ConditionalDiscriminator)
    game.discriminator = Watched(game.discriminator)
    return game.discriminator


def named(game: Game, z: NDArray[np.float32]) -> list[int]:
    """Return the class of each latent: the largest ballot plus head start."""
    starts = ballots_of(game.generator).head_starts.numpy()
    return [int(np.argmax(row[-CLASSES:] + starts)) for row in z]


def next_latents(game: Game, n: int) -> NDArray[np.float32]:
    rng = torch.Generator()
    rng.set_state(game.rng.get_state())
    return torch.randn(n, 7, generator=rng).numpy()


@pytest.mark.parametrize("name", ["mlp", "conv"])
@pytest.mark.parametrize("loss", ["non-saturating", "relativistic"])
def test_a_d_step_asks_about_the_labels_of_real_images_and_the_ballots_of_fakes(name: str, loss: str):
    game = make_game(f"loss={loss}", name=name)
    d, real = watched(game), batch()
    wanted = named(game, next_latents(game, 9))
    game.discriminator_step(real)
    ((images, labels),) = d.asked
    assert torch.equal(images[:9], real.images)
    assert labels.tolist() == [k % CLASSES for k in range(9)] + wanted
    assert len(set(wanted)) > 1


@pytest.mark.parametrize("loss", ["non-saturating", "relativistic"])
def test_a_g_step_asks_about_the_ballots_of_its_own_latents(loss: str):
    game = make_game(f"loss={loss}")
    d, real = watched(game), batch()
    wanted = named(game, next_latents(game, 9))
    game.generator_step(real)
    ((_, labels),) = d.asked
    before = [k % CLASSES for k in range(9)] if loss == "relativistic" else []
    assert labels.tolist() == before + wanted


def test_a_simultaneous_step_asks_once_about_both():
    game = make_game("updates=simultaneous")
    d = watched(game)
    wanted = named(game, next_latents(game, 9))
    game.simultaneous_step(batch())
    ((_, labels),) = d.asked
    assert labels.tolist() == [k % CLASSES for k in range(9)] + wanted


def test_a_gradient_penalty_is_of_the_real_images_class():
    game = make_game("gradient_penalty=10")
    d = watched(game)
    game.discriminator_step(batch())
    assert [len(labels) for _, labels in d.asked] == [18, 9]
    assert d.asked[1][1].tolist() == [k % CLASSES for k in range(9)]


def test_ds_loss_is_that_of_each_images_own_logit():
    """Compare with the loss computed by hand in float64 from the logits of the images' own classes."""
    game, real = make_game(), batch()
    z = next_latents(game, 9)
    with torch.no_grad():
        fake = game.generator(torch.from_numpy(z))
        assert isinstance(game.discriminator, ConditionalDiscriminator)
        logits = game.discriminator.body(torch.cat([real.images, fake])).double().numpy()
    # This pass updated G's running statistics. In training G uses the batch's, so the step draws the same fakes.
    of_real = [logits[k, k % CLASSES] for k in range(9)]
    of_fake = [logits[9 + k, label] for k, label in enumerate(named(game, z))]
    d_real, d_fake = (1 / (1 + np.exp(-np.array(seen))) for seen in (of_real, of_fake))
    seen = game.discriminator_step(real)
    assert seen.loss == pytest.approx(-(np.log(d_real).mean() + np.log(1 - d_fake).mean()) / 2, rel=1e-5)
    assert (seen.d_real, seen.d_fake) == pytest.approx((d_real.mean(), d_fake.mean()), rel=1e-5)


def test_a_d_step_leaves_the_logits_of_other_classes_to_themselves():
    """If no image has a class, that class's row of the last layer gets no gradient."""
    game = make_game()
    assert isinstance(game.discriminator, ConditionalDiscriminator)
    last = list(game.discriminator.body.modules())[-1]
    assert isinstance(last, torch.nn.Linear)
    ballots_of(game.generator).head_starts.copy_(torch.tensor([0.0, 0.0, -1e3]))  # no fake of class 2
    before = last.weight.detach().clone()
    game.discriminator_step(LabelledImages(real_images(9), torch.arange(9) % 2))
    moved = (last.weight.detach() != before).any(dim=1)
    assert moved.tolist() == [True, True, False]


def test_classes_are_drawn_as_often_as_the_data_have_them():
    game = make_game()
    z = draw_latents(0, 0, 20_000, z_dim=7, prior="normal")
    seen = np.bincount(named(game, z), minlength=CLASSES) / 20_000
    np.testing.assert_allclose(seen, SHARES, atol=4 * 0.5 / 20_000**0.5)
    assert torch.equal(ballots_of(game.average.network).head_starts, ballots_of(game.generator).head_starts)


def test_g_learns_to_draw_what_it_is_asked_for():
    """Each of three classes has its own grey: after a short game, the requested class decides the grey."""
    greys = torch.tensor([-0.8, 0.0, 0.8])
    game = make_game("architecture.generator_widths=[32]", "architecture.discriminator_widths=[32]")
    rng = torch.Generator().manual_seed(0)
    for _ in range(250):
        labels = torch.randint(CLASSES, (32,), generator=rng)
        noise = torch.randn(32, 1, 16, 16, generator=rng) * 0.05
        real = LabelledImages((greys[labels][:, None, None, None] + noise).clamp(-1, 1), labels)
        game.discriminator_step(real)
        game.generator_step(real)
        game.average.update(game.generator, batch_images=32, images_seen=10**6)
    z = draw_latents(5, 0, 60, z_dim=7, prior="normal")
    starts = ballots_of(game.generator).head_starts.numpy()
    means = []
    for label in range(CLASSES):
        asked = torch.from_numpy(ask_for_class(z, label, head_starts=starts))
        with torch.no_grad():
            means.append(float(game.average.network(asked).mean()))
    assert means == sorted(means)
    assert means[1] - means[0] > 0.2
    assert means[2] - means[1] > 0.2


# --- Labels that do not do ----------------------------------------------------------------------------


def labelled(path: Path, labels: NDArray[np.int64] | None) -> str:
    images = tiny_images(40)
    np.savez(path, images=images) if labels is None else np.savez(path, images=images, labels=labels)
    return str(path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            None,
            "a conditional game needs labels of 2 to 1000 classes, and data has none: put the images into a folder for",
        ),
        (np.zeros(40, np.int64), r"data has 1 class; a conditional game needs 2 to 1000"),
        (
            np.arange(40),
            r"data has 40 classes; a conditional game needs fewer than z_dim = 7, .*: use `--set z_dim=104`",
        ),
        (np.arange(40) % 7, "data has 7 classes; .* fewer than z_dim = 7"),
        (np.arange(40) % 8 * 26, "data has 8 classes; .* fewer than z_dim = 7"),
    ],
)
def test_labels_that_no_conditional_game_can_be_played_with(
    tmp_path: Path, labels: NDArray[np.int64] | None, message: str
):
    data = labelled(tmp_path / "data.npz", labels)
    with pytest.raises(RecipeError, match=message):
        resolve_config(
            tiny_recipe("mlp", *CONDITIONAL),
            load_dataset(data),
            recipe_name="tiny",
            overrides=(),
            data=data,
            seed=0,
            minutes=None,
            device="cpu",
            threads=1,
        )


def test_packing_is_for_a_game_without_classes():
    with pytest.raises(RecipeError, match=r"packing is 3, but a conditional game needs packing=1, .*: set packing=1"):
        tiny_recipe("mlp", *CONDITIONAL, "packing=3")


# --- End to end ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_labelled_folder_is_trained_resumed_exported_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the commands, once without and once with an interruption; the model's head starts must fit the data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_DIR", "/dev/null")
    for label, (name, n) in enumerate((("cats", 30), ("dogs", 20), ("owls", 10))):
        write_pngs(tmp_path / "pets" / name, tiny_images(n, seed=label))
    overrides = [*TINY_MLP, "conditional=true", "z_dim=7", "checkpoint_interval_s=0"]
    command = ["fit", "mlp", "--data", "pets", "--epochs", "3", "--threads", "1", *sets(overrides)]
    assert main([*command, "--out", "whole"]) == 0
    real_step = loop.play_step

    def interrupted(game: Game, data: Dataset, batches: list[torch.Tensor], progress: Progress) -> None:
        if progress.step == 8:  # in the second of three epochs
            raise KeyboardInterrupt
        real_step(game, data, batches, progress)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "play_step", interrupted)
        assert main([*command, "--out", "stopped"]) == 130
    assert main(["resume", "stopped"]) == 0
    for name in ("whole", "stopped"):
        assert main(["export", name, "--to", f"{name}-model/pets"]) == 0
    paths = [tmp_path / f"{name}-model" / "pets" for name in ("whole", "stopped")]
    assert len({(path / "model.safetensors").read_bytes() for path in paths}) == 1

    model = load_model(paths[0])
    assert (model.metadata.classes, model.metadata.z_dim) == (3, 7)
    starts = next(layer for layer in model.generator.modules() if isinstance(layer, Ballots)).head_starts.numpy()
    z = draw_latents(1, 0, 20_000, z_dim=7, prior="normal")
    seen = np.bincount((z[:, -3:] + starts).argmax(axis=1)) / 20_000
    labels = load_dataset("pets").labels
    assert labels is not None
    np.testing.assert_allclose(seen, np.bincount(labels.numpy()) / len(labels), atol=0.015)
    sampler = Sampler(model.generator, z_dim=7, image_shape=model.metadata.image_shape)
    asked = [sampler(ask_for_class(z[:8], label, head_starts=starts)) for label in range(3)]
    assert not (asked[0] == asked[1]).all()
