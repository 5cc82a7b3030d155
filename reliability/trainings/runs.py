"""Tiny runs by real commands, and the part of their outcome that must not depend on how often they are stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from harness.repository import ROOT
from training.run.checkpoint import read_progress
from training.run.folder import RunFolder

RECIPE = Path(__file__).with_name("tiny.toml")
IMAGES = 40


def write_data(path: Path) -> Path:
    """Write images of 16 × 16 in two classes: a bright bar at a random place, upright or lying, on noise."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (IMAGES, 16, 16), dtype=np.uint8)
    labels = np.arange(IMAGES) % 2
    for image, label, place in zip(images, labels, rng.integers(0, 13, IMAGES), strict=True):
        (image.T if label else image)[:, place : place + 3] += 180
    np.savez(path, images=images, labels=labels)
    return path


def fit_arguments(data: Path, folder: RunFolder, settings: tuple[str, ...] = ()) -> list[str]:
    """Return the command that begins a run of the tiny recipe."""
    sets = [argument for setting in settings for argument in ("--set", setting)]
    return ["fit", str(RECIPE), "--data", str(data), "--out", str(folder.path), "--threads", "1", "--seed", "3", *sets]


def next_arguments(data: Path, folder: RunFolder, settings: tuple[str, ...] = ()) -> list[str]:
    """Return the command that a person types after a fault: `resume`, or `fit` again if there is no run yet."""
    return ["resume", str(folder.path)] if folder.config_file.exists() else fit_arguments(data, folder, settings)


def command(arguments: list[str]) -> list[str]:
    """Return the command `python -m training …`."""
    return [sys.executable, "-m", "training", *arguments]


def training_environment() -> dict[str, str]:
    """Return a command's environment. It has no git, so a commit made meanwhile does not change the exported model."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "GIT_DIR": os.devnull, "OMP_NUM_THREADS": "1"}


def run(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command of the training package to its end."""
    return subprocess.run(command(arguments), env=training_environment(), capture_output=True, text=True, check=False)


def succeed(arguments: list[str]) -> None:
    """Run a command of the training package.

    Raises:
        RuntimeError: it did not exit with 0.
    """
    done = run(arguments)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} exited with {done.returncode}: {done.stderr}")


def outcome(folder: RunFolder) -> dict[str, object]:
    """Return the part of a run that must not depend on how often it was stopped: everything except the seconds."""
    events = EventAccumulator(str(folder.tensorboard))
    events.Reload()
    return {
        "grids": {path.name: path.read_bytes() for path in sorted(folder.grids.iterdir())},
        "stats": [{**json.loads(line), "seconds": None} for line in folder.stats_file.read_text().splitlines()],
        "events": folder.events_file.read_text() if folder.events_file.exists() else "",
        "tensorboard": [(event.step, event.value) for event in events.Scalars("loss_d")],
        "state": read_state(folder.checkpoint_file),
        "best": read_state(folder.best_file) if folder.best_file.exists() else None,
        "temporary files": temporary_files(folder.path),
    }


def differences(seen: dict[str, object], wanted: dict[str, object]) -> list[str]:
    """Return the names of the parts of an outcome that differ."""
    return [what for what in wanted if seen[what] != wanted[what]]


def temporary_files(path: Path) -> list[str]:
    """Return the temporary files below a folder, which a write that was cut short leaves."""
    return sorted(str(file.relative_to(path)) for file in path.rglob(".*.tmp"))


def read_state(path: Path) -> tuple[dict[str, bytes], object]:
    """Return the tensors of a saved state and its progress, without the seconds that it took."""
    progress = read_progress(path).model_dump(exclude={"seconds": True, "records": {"__all__": {"seconds"}}})
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(path).items()}, progress
