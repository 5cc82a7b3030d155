"""Adaptive augmentation: p follows D's overfitting, in numbers that were computed by hand, and in planted games."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.images import ImageShape
from models.networks.batch_part import WHOLE, Part
from tests.training.support import make_config, tiny_images, tiny_recipe, write_npz
from training.data.clusters import with_clusters
from training.data.dataset import load_dataset
from training.errors import NotFiniteError, RecipeError, RunError
from training.gan import discriminator_loss
from training.gan.adaptive_augmentation import (
    INTERVAL,
    MOST,
    RAMP_IMAGES,
    AdaptiveAugmentation,
    buffers_kept,
    labelled_held_out,
)
from training.gan.discriminator_loss import LabelledImages
from training.gan.game import Game
from training.run.checkpoint import load_checkpoint, save_checkpoint, state_of
from training.run.progress import Progress

ADAPTIVE = ("augmentation_target=0.5", "batch_size=12")
DARK, GREY, BRIGHT = 0, 127, 255


def adaptive(*, probability: float = 0.2, target: float = 0.5, n: int = 5) -> AdaptiveAugmentation:
    images = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 1, 16, 16)
    return AdaptiveAugmentation(probability=probability, target=target, held_out=LabelledImages(images))


def flat(n: int, grey: int) -> torch.Tensor:
    return torch.full((n, 1, 16, 16), grey, dtype=torch.uint8)


def make_game(*overrides: str, held_out: torch.Tensor, seed: int = 3) -> Game:
    return Game(
        tiny_recipe("conv", *ADAPTIVE, *overrides),
        shape=ImageShape(height=16, width=16),
        pixel_means=torch.full((1, 16, 16), 0.3),
        seed=seed,
        device=torch.device("cpu"),
        held_out=LabelledImages(held_out),
    )


def play(game: Game, steps: range, images: torch.Tensor | None = None) -> None:
    pixels = torch.from_numpy(tiny_images(12))[:, None] if images is None else images
    real = LabelledImages(pixels.float() / 127.5 - 1)
    for step in steps:
        game.set_rates(step=step, steps=100, epoch=1)
        game.discriminator_step(real, step=step)
        game.generator_step(real)


class Brightness(nn.Module):
    """A planted D: its logit is the mean of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * images.mean(dim=(1, 2, 3))


# --- The measure ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "held_out", "fake", "overfitting"),
    [
        (3.0, 3.0, -1.0, 0.0),  # held-out images are as real as the others
        (3.0, -1.0, -1.0, 1.0),  # they are as false as fakes
        (3.0, 1.0, -1.0, 0.5),
        (103.0, 101.0, 99.0, 0.5),  # shifted: the relativistic game does not know where 0 is
        (0.3, 0.1, -0.1, 0.5),  # scaled
        (3.0, -9.0, -1.0, 1.0),  # limited
        (3.0, 9.0, -1.0, -1.0),
        (-1.0, -3.0, 3.0, 0.0),  # a D that takes fakes for real has not learnt images by heart
        (1.0, 0.0, 1.0, 0.0),
    ],
)
def test_the_overfitting_of_one_measurement(real: float, held_out: float, fake: float, overfitting: float) -> None:
    one = adaptive()
    one.adapt(real=real, held_out=held_out, fake=fake, images=100)
    assert one.overfitting == pytest.approx(overfitting)


def test_the_running_means_by_hand() -> None:
    one = adaptive()
    assert one.overfitting == 0.0
    one.adapt(real=4.0, held_out=4.0, fake=0.0, images=100)  # gap 0, range 4
    one.adapt(real=4.0, held_out=0.0, fake=2.0, images=100)  # gap 4, range 2: means 0.4 and 3.8
    assert one.overfitting == pytest.approx(0.4 / 3.8)


def test_p_moves_up_and_down_by_the_images_and_stops_at_its_limits() -> None:
    assert (RAMP_IMAGES, MOST) == (50_000, 0.8)
    one = adaptive(probability=0.2)
    one.adapt(real=1.0, held_out=0.0, fake=0.0, images=5000)
    assert one.probability == pytest.approx(0.3)
    one = adaptive(probability=0.2)
    one.adapt(real=1.0, held_out=1.0, fake=0.0, images=5000)
    assert one.probability == pytest.approx(0.1)
    for _ in range(3):
        one.adapt(real=1.0, held_out=1.0, fake=0.0, images=5000)
    assert one.probability == 0.0
    one = adaptive(probability=0.75)
    one.adapt(real=1.0, held_out=0.0, fake=0.0, images=5000)
    assert one.probability == MOST
    one = adaptive(probability=0.95)  # a start above the limit is a person's choice
    one.adapt(real=1.0, held_out=0.0, fake=0.0, images=5000)
    assert one.probability == 0.95


@pytest.mark.parametrize(("held_out", "rises"), [(0.51, False), (0.49, True)])
def test_both_sides_of_the_target(held_out: float, rises: bool) -> None:
    one = adaptive(probability=0.2, target=0.5)
    one.adapt(real=1.0, held_out=held_out, fake=0.0, images=100)
    assert (one.probability > 0.2) == rises


def test_batches_go_through_all_held_out_images_in_turn() -> None:
    one = adaptive(n=5)
    first, second = (one.held_out_batch(4, step=step, part=WHOLE).images for step in (0, INTERVAL))
    values = [round(float(x) * 127.5 + 127.5) for x in torch.cat([first, second])[:, 0, 0, 0]]
    assert values == [0, 1, 2, 3, 4, 0, 1, 2]
    parts = [one.held_out_batch(2, step=0, part=Part(rank, 2, 1)).images for rank in (0, 1)]
    assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), first)


# --- In the game ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["non-saturating", "relativistic", "hinge"])
@pytest.mark.parametrize("updates", ["alternating", "simultaneous"])
@pytest.mark.parametrize(("held_out", "rises"), [(DARK, True), (BRIGHT, False)])
def test_p_rises_when_d_knows_its_images_by_heart_and_falls_otherwise(
    loss: str, updates: str, held_out: int, rises: bool
) -> None:
    """The planted D likes bright images. Training images are bright, and G's are nearly grey."""
    rates = tuple(f"{player}_optimiser.learning_rate=1e-9" for player in ("generator", "discriminator"))
    game = make_game(f"loss={loss}", "augmentation=0.2", f"updates={updates}", *rates, held_out=flat(3, held_out))
    game.discriminator = Brightness()
    real = LabelledImages(flat(12, BRIGHT).float() / 127.5 - 1)
    for step in range(INTERVAL + 1):
        if updates == "simultaneous":
            game.simultaneous_step(real, step=step)
        else:
            game.discriminator_step(real, step=step)
        if step < INTERVAL:
            assert game.augmentation is not None
            after_one = game.augmentation.probability
    move = 12 * INTERVAL / RAMP_IMAGES
    assert after_one == pytest.approx(0.2 + (move if rises else -move))  # in step 0, and not in steps 1 to 3
    assert game.augmentation is not None
    assert game.augmentation.probability == pytest.approx(0.2 + 2 * (move if rises else -move))


def test_without_a_target_nothing_adapts() -> None:
    game = make_game("augmentation_target=none", "augmentation=0.3", held_out=flat(3, GREY))
    assert game.augmentation is None
    assert "augmentation" not in state_of(game)


def test_held_out_images_decide_p_and_nothing_else() -> None:
    """Two games that see other held-out images, but move p alike, have the same weights and buffers in the end."""
    games = [
        make_game(
            *("spectral_norm=true", "packing=2", "r1_gamma=1", "augmentation=0.8", "augmentation_target=0.999"),
            'architecture={name="conv", generator_channels=[6,4], discriminator_channels=[4,6], group_deviation=true}',
            "batch_size=16",
            held_out=torch.from_numpy(tiny_images(5, seed=seed))[:, None],
        )
        for seed in (1, 2)
    ]
    for game in games:
        play(game, range(1), torch.from_numpy(tiny_images(16))[:, None])
    one, other = (state_of(game) for game in games)
    assert not torch.equal(one.pop("augmentation"), other.pop("augmentation"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_buffers_are_restored() -> None:
    layer = nn.BatchNorm1d(3)
    with buffers_kept(layer), torch.no_grad():
        layer(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)) + 5)
    assert torch.equal(layer.get_buffer("running_mean"), torch.zeros(3))


def test_images_reach_d_only_through_the_changes_and_samples_are_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If every change hid all of an image, G would get no gradient; what G draws does not pass through them."""
    game = make_game("augmentation=0.5", "r1_gamma=1", "r2_gamma=1", held_out=flat(3, GREY))
    seen: list[float] = []

    def hide(images: torch.Tensor, *, probability: float, **_: object) -> torch.Tensor:
        seen.append(probability)
        return images * 0

    monkeypatch.setattr(discriminator_loss, "augment", hide)
    before = [weight.clone() for weight in game.generator.parameters()]
    play(game, range(1))
    assert len(seen) == 3  # D's step, the held-out images, G's step
    assert seen[:2] == [0.5, 0.5]
    assert all(map(torch.equal, before, game.generator.parameters()))
    assert game.generator(game.draw_latents(4)).abs().max() > 0


def test_a_nan_names_the_quantity() -> None:
    game = make_game("augmentation=0.2", held_out=flat(3, GREY))
    logits = torch.full((12,), torch.nan)
    loss = discriminator_loss.DiscriminatorLoss(logits.mean(), torch.zeros(4), logits, logits)
    with pytest.raises(NotFiniteError, match="D's mean logit is nan"):
        game._adapt(loss, n=12, step=0)


# --- The saved state -----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_game_continues_in_the_same_bits(tmp_path: Path, precision: str) -> None:
    held_out = torch.from_numpy(tiny_images(5, seed=7))[:, None]
    settings = ("augmentation=0.4", "loss=relativistic", "r1_gamma=1", f"precision={precision}")
    whole, half, resumed = (make_game(*settings, held_out=held_out) for _ in range(3))
    play(whole, range(10))
    play(half, range(6))  # not after a measurement
    save_checkpoint(tmp_path / "state.safetensors", half, Progress(step=6))
    load_checkpoint(tmp_path / "state.safetensors", resumed)
    play(resumed, range(6, 10))
    one, other = state_of(whole), state_of(resumed)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (torch.zeros(2, dtype=torch.float64), r"is \[2\] torch.float64, not \[3\]"),
        (torch.zeros(3), r"is \[3\] torch.float32, not \[3\] torch.float64"),
        (torch.tensor([0.9, 0, 0], dtype=torch.float64), r"probability is 0.9, not from 0 to 0.8"),
        (torch.tensor([-0.1, 0, 0], dtype=torch.float64), r"probability is -0.1"),
    ],
)
def test_a_damaged_state_is_refused(state: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adaptive().load_state(state)


def test_a_state_without_the_augmentation_is_refused(tmp_path: Path) -> None:
    constant = make_game("augmentation_target=none", held_out=flat(3, GREY))
    save_checkpoint(tmp_path / "state.safetensors", constant, Progress())
    with pytest.raises(RunError, match="augmentation"):
        load_checkpoint(tmp_path / "state.safetensors", make_game(held_out=flat(3, GREY)))


# --- The data ------------------------------------------------------------------------------------


def labelled(path: Path, test_labels: list[str] | None) -> Path:
    images, labels, test = tiny_images(40), np.array(["a", "b"] * 20), tiny_images(4, seed=1)
    if test_labels is None:
        np.savez(path, x_train=images, y_train=labels, x_test=test)
    else:
        np.savez(path, x_train=images, y_train=labels, x_test=test, y_test=np.array(test_labels))
    return path


def test_held_out_images_of_unknown_classes_are_left_out(tmp_path: Path) -> None:
    data = load_dataset(str(labelled(tmp_path / "data.npz", ["a", "c", "b", "c"])))
    found = labelled_held_out(data, conditional=True, device=torch.device("cpu"))
    assert found.labels is not None
    assert (len(found.images), sorted(found.labels.tolist())) == (2, [0, 1])
    assert len(labelled_held_out(data, conditional=False, device=torch.device("cpu")).images) == 4


@pytest.mark.parametrize("test_labels", [None, ["c"] * 4])
def test_a_conditional_game_needs_labels_of_held_out_images(tmp_path: Path, test_labels: list[str] | None) -> None:
    path = labelled(tmp_path / "data.npz", test_labels)
    with pytest.raises(RecipeError, match="has no held-out image with a label"):
        make_config(tiny_recipe("conv", *ADAPTIVE, "conditional=true"), path)
    assert make_config(tiny_recipe("conv", *ADAPTIVE, "conditional=false"), path)
    assert make_config(tiny_recipe("conv", "augmentation=0.5", "conditional=true"), path)


def test_held_out_images_get_the_cluster_whose_mean_is_nearest(tmp_path: Path) -> None:
    images = np.concatenate([tiny_images(30) // 8, 255 - tiny_images(30, seed=1) // 8])
    data = with_clusters(load_dataset(str(write_npz(tmp_path / "data.npz", images))), 2)
    assert data.labels is not None
    assert data.held_out_labels is not None
    bright = int(data.labels[data.images.float().mean(dim=(1, 2, 3)) > 127][0])
    wanted = torch.where(data.held_out.float().mean(dim=(1, 2, 3)) > 127, bright, 1 - bright)
    assert torch.equal(data.held_out_labels, wanted)


# --- Settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["0", "1", "-0.1", "1.5", "true"])
def test_targets_that_are_refused(target: str) -> None:
    with pytest.raises(RecipeError, match="augmentation_target"):
        tiny_recipe("mlp", f"augmentation_target={target}")


@pytest.mark.parametrize("target", ["0.001", "0.999"])
def test_targets_at_the_limits(target: str) -> None:
    assert tiny_recipe("mlp", f"augmentation_target={target}").augmentation_target == float(target)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (['augmentations=["mirror", "mirror"]'], "augmentations names one twice: mirror, mirror"),
        (['augmentations=["noise"]'], "augmentations.0"),
        (["augmentations=[]", "augmentation=0.1"], "augmentations is empty"),
        (["augmentations=[]", "augmentation_target=0.5"], "augmentations is empty"),
    ],
)
def test_augmentations_that_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        tiny_recipe("mlp", *overrides)


def test_mirroring_is_off_by_default() -> None:
    assert tiny_recipe("mlp").augmentations == ("translation", "cutout")
    assert tiny_recipe("mlp", "augmentations=[]").augmentations == ()
