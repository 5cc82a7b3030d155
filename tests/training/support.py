"""Tiny data, tiny recipes and the command line as a process, for the tests of this room."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from models.images import ImageShape
from tests import preloaded
from training.config import RunConfig, resolve_config
from training.data.dataset import Dataset, load_dataset
from training.evaluation.evaluate import evaluate
from training.export.export import export
from training.gan.discriminator_loss import LabelledImages
from training.gan.game import Game
from training.recipe import Recipe, load_recipe
from training.run import loop, monitor
from training.run.folder import RunFolder
from training.run.loop import train
from training.run.writer import FolderWriter

ROOT = Path(__file__).parents[2]

# Every setting that a recipe may change has a fixed value here, so that the tests do not depend on the recipes.
BARE_GAME = (
    "z_dim=4",
    "batch_size=9",
    "train_images=None",
    "conditional=false",
    "loss=non-saturating",
    "d_steps=1",
    "r1_gamma=0",
    "r2_gamma=0",
    "gradient_penalty=0",
    "penalty_interval=1",
    "spectral_norm=false",
    "packing=1",
    "augmentation=0",
    "judge_steps=0",
    "encoder_steps=0",
    "quantise=false",
    "tone_curve=false",
    "metrics_every_epochs=0",
    "grid_every_epochs=10",
    "precision=float32",
    "ema_halflife_images=30",
)
TINY_MLP = (*BARE_GAME, 'architecture={name="mlp", generator_widths=[8, 12], discriminator_widths=[10]}')
TINY_2014 = (
    *BARE_GAME,
    "architecture.generator_widths=[12]",
    "architecture.maxout_units=[6, 5]",
    "architecture.maxout_pieces=3",
)
TINY_CONV = (*BARE_GAME, 'architecture={name="conv", generator_channels=[6, 4], discriminator_channels=[4, 6]}')
TINY_RESIDUAL = (
    *BARE_GAME,
    "generator_optimiser.learning_rate=1e-3",
    "discriminator_optimiser.learning_rate=1e-3",
    "architecture.generator_channels=2",
    "architecture.discriminator_channels=3",
    "architecture.group_width=2",
)
TINY = {
    "mlp": TINY_MLP,
    "writeup": TINY_MLP,
    "goodfellow2014": TINY_2014,
    "conv": TINY_CONV,
    "stacked-mnist": TINY_CONV,
    "photos": TINY_RESIDUAL,
}


def tiny_recipe(name: str = "mlp", *overrides: str) -> Recipe:
    return load_recipe(name, [*TINY[name], *overrides])


def tiny_images(n: int = 40, side: int = 16, *, channels: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    """[n, side, side] or [n, side, side, 3] uint8: a bright bar at a random place on noise."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (n, side, side, channels), dtype=np.uint8)
    for image, column in zip(images, rng.integers(0, side - 3, n), strict=True):
        image[:, column : column + 3] += 180
    return images[..., 0] if channels == 1 else images


def write_npz(path: Path, images: NDArray[np.uint8] | None = None) -> Path:
    np.savez(path, images=tiny_images() if images is None else images)
    return path


def write_pngs(folder: Path, images: NDArray[np.uint8]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:03d}.png")
    return folder


def make_game(recipe: Recipe, *, side: int = 16, seed: int = 3, channels: Literal[1, 3] = 1) -> Game:
    shape = ImageShape(channels=channels, height=side, width=side)
    means = torch.full(shape.chw, 0.3)
    return Game(recipe, shape=shape, pixel_means=means, seed=seed, device=torch.device("cpu"))


def real_images(n: int, side: int = 16) -> torch.Tensor:
    """[n, 1, side, side] float32 in [−1, 1]."""
    return torch.from_numpy(tiny_images(n, side))[:, None].float() / 127.5 - 1


def real_batch_of(n: int, *, first: int = 0) -> LabelledImages:
    """Return the images `first` to `first + n` of `real_images`, without labels."""
    return LabelledImages(real_images(first + n)[first:])


def tiny_dataset(n: int = 40) -> Dataset:
    """Return n training images of 16 × 16, and two that are held out."""
    images = torch.from_numpy(tiny_images(n + 2))[:, None]
    return Dataset("tiny", images[:n], images[n:], ImageShape(height=16, width=16))


def make_config(
    recipe: Recipe,
    data: Path,
    *,
    minutes: float | None = None,
    seed: int = 5,
    on_collapse: Literal["warn", "rollback"] = "warn",
    processes: int = 1,
) -> RunConfig:
    config = resolve_config(
        recipe,
        load_dataset(str(data)),
        recipe_name="tiny",
        overrides=(),
        data=str(data),
        seed=seed,
        minutes=minutes,
        device="cpu",
        threads=1,
        on_collapse=on_collapse,
        processes=processes,
    )
    return config.model_copy(update={"git_commit": "unknown"})  # so that new commits do not change it


def play(folder: RunFolder, config: RunConfig) -> None:
    with FolderWriter(config, folder) as writer:
        train(config, _dataset(config), folder, writer)


def exported_bytes(folder: RunFolder, config: RunConfig, to: Path) -> bytes:
    export(folder, config, _dataset(config), to, samples=20)
    return (to / "model.safetensors").read_bytes()


def grid_bytes(folder: RunFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.grids.iterdir())}


def _dataset(config: RunConfig) -> Dataset:
    return load_dataset(config.data).first(config.recipe.train_images)


SAMPLES = 200
"""Number of G's images that are judged: fewer than a person's command judges, which takes minutes."""


def judge_few_samples(patch: pytest.MonkeyPatch) -> None:
    """Have `evaluate`, `export` and the monitor of a run judge `SAMPLES` images of G."""
    for judges in (evaluate, export):
        defaults = judges.__kwdefaults__
        assert defaults is not None
        patch.setitem(defaults, "samples", SAMPLES)
    patch.setattr(monitor, "IMAGES", SAMPLES)


Script: TypeAlias = Callable[[int, int], dict[str, float]]
"""A function from an epoch (from 1) and the number of rollbacks to the epoch's figures."""


def report(script: Script, *, patch: Callable[[object, str, object], None] = setattr) -> None:
    """Replace the loop's monitor: the figures come from `script`."""
    patch(loop, "open_monitor", lambda *_arguments, **_named: None)
    patch(loop, "measured", lambda run: script(run.progress.epoch, run.progress.rollbacks))


CONSTANT_RATE = 1e-3
CONSTANT_RATES = tuple(
    f'{player}_optimiser={{name="adam", learning_rate={CONSTANT_RATE}}}' for player in ("generator", "discriminator")
)


def falling(epoch: int, rollbacks: int, *, at: int) -> dict[str, float]:
    """Return figures that improve with each epoch, except for a collapse in epoch `at` before the first rollback."""
    if epoch == at and not rollbacks:
        return {"frechet": 90.0, "coverage": 0.1}
    return {"frechet": 50.0 / epoch, "coverage": 0.8}


def command_line(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "training", *map(str, arguments)]


def environment(*, threads: int = 1) -> dict[str, str]:
    """Return an environment for a process without git, so that new commits do not change `git_commit`.

    It has no name server either. PyTorch looks up the other processes' names for its log, and without an answer each
    process would wait for 10 s.
    """
    own = {"PYTHONPATH": str(ROOT), "GIT_DIR": os.devnull, "OMP_NUM_THREADS": str(threads), "RES_OPTIONS": "attempts:0"}
    return os.environ | own


def run(*arguments: str | Path, cwd: Path, threads: int = 1) -> "subprocess.CompletedProcess[str]":
    """Run `python -m training …` as a separate process, with packages that are imported before."""
    return preloaded.run(command_line(*arguments), environment(threads=threads), cwd, timeout_s=600)


def sets(overrides: Sequence[str]) -> list[str]:
    return [argument for override in overrides for argument in ("--set", override)]
