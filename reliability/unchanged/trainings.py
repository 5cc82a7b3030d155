"""The part "training": tiny runs, some killed and resumed, one by two processes, exported; and commands' output."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from reliability.trainings.runs import RECIPE, write_data
from reliability.unchanged.comparison import Outcome
from reliability.unchanged.files import folder_outcome, said_without_times
from reliability.unchanged.trees import Tree

_SGD = '{name="sgd", learning_rate=0.05, learning_rate_decay=1.01, momentum_start=0.5, momentum_final=0.7}'
_CONV = '{name="conv", generator_channels=[6, 4], discriminator_channels=[4, 6], group_deviation=true}'
_MNIST = ("train_images=400", "batch_size=100", "epochs=2", "grid_every_epochs=1")

GAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "mlp, 2 steps of D": (
        "data.npz",
        ("d_steps=2", "epochs=12", "judge_steps=5", "generator_optimiser.learning_rate_final=1e-4"),
    ),
    "conv, relativistic, conditional": (
        "data.npz",
        (
            f"architecture={_CONV}",
            *("loss=relativistic", "conditional=true", "r1_gamma=1", "r2_gamma=0.5", "penalty_interval=2"),
            *("augmentation=0.5", "metrics_every_epochs=2", "epochs=6", "batch_size=16", "encoder_steps=3"),
        ),
    ),
    "goodfellow2014, SGD, simultaneous": (
        "mnist",
        (
            'architecture={name="goodfellow2014", generator_widths=[12], maxout_units=[6, 5], maxout_pieces=3}',
            *("updates=simultaneous", "prior=uniform", *_MNIST),
            *(f"generator_optimiser={_SGD}", f"discriminator_optimiser={_SGD}"),
        ),
    ),
    "mlp, WGAN-GP": ("data.npz", ("loss=wasserstein", "gradient_penalty=10", "d_steps=3", "epochs=8")),
    "mlp, hinge, packed, quantised": (
        "data.npz",
        ("loss=hinge", "spectral_norm=true", "packing=2", "quantise=true", "precision=bfloat16", "epochs=8"),
    ),
}
"""For each game, the data, and the settings that replace those of the tiny recipe."""

HAND_OVER_TIMEOUT_S = 600
KILLED = ("epochs=150", "loss=least-squares")
MISTAKES: dict[str, tuple[str, ...]] = {
    "no command": (),
    "no recipe": ("fit", "nobody"),
    "bad settings": ("fit", "mlp", "--set", "epochs=0", "loss=x", "z_dim=-1", "unknown=1"),
    "bad data": ("fit", "mlp", "--data", "nothing.npz"),
    "no run": ("resume", "nothing"),
    "no model": ("evaluate", "nobody"),
    "no model to draw": ("sample", "nobody", "-o", "x.png"),
    "too many for a grid": ("sample", "mnist-mlp", "--n", "5000", "-o", "x.png"),
    "no such digit": ("sample", "mnist-mlp", "--digit", "10", "-o", "x.png"),
    "bulk options of a grid": ("sample", "mnist-mlp", "--format", "npz", "-o", "x.png"),
}
COMMANDS = ("fit", "resume", "watch", "evaluate", "sample", "export", "classifier")
RECIPES = ("mlp", "conv", "goodfellow2014", "goodfellow2014-labels", "writeup")

_COST = re.compile(rb"\d+ step\(s\) of one process on this machine: [^\n]*\nestimate: [^\n]*")
"""What `fit --dry-run` has measured, which depends on the machine and the moment."""


def collect(tree: Tree, before: Tree) -> dict[str, Outcome]:
    """Train with the code of a tree, and return what it writes and prints."""
    write_data(tree.scratch / "data.npz")
    shutil.copy(RECIPE, tree.scratch / "tiny.toml")
    return {
        **{name: _game(tree, name) for name in GAMES},
        "killed and resumed": _killed(tree),
        "begun before, resumed here": _handed_over(tree, before),
        "two processes": _two_processes(tree),
        "commands": _commands(tree),
    }


def _game(tree: Tree, name: str) -> Outcome:
    """Train a whole run, and export it unless it is on MNIST, where measuring the model takes more than a minute."""
    (data, settings), number = GAMES[name], list(GAMES).index(name)
    run, model = f"run-{number}", f"model-{number}"
    said = tree.succeed("-m", "training", *_fit(run, settings, data))
    found = folder_outcome(tree.scratch / run, "run")
    if data != "mnist":
        said += tree.succeed("-m", "training", "export", run, "--to", model)
        found |= folder_outcome(tree.scratch / model, "model")
    return {"said": said_without_times(said), **found}


def _fit(run: str, settings: tuple[str, ...], data: str = "data.npz") -> list[str]:
    sets = [argument for setting in settings for argument in ("--set", setting)]
    return ["fit", "tiny.toml", "--data", data, "--out", run, "--threads", "1", "--seed", "3", *sets]


def _killed(tree: Tree) -> Outcome:
    """End a run by SIGKILL and resume it, both in one tree. The log, which is left out, tells when it was killed."""
    _begin_and_kill(tree, tree.scratch / "killed")
    tree.succeed("-m", "training", "resume", "killed")
    return folder_outcome(tree.scratch / "killed", "run", leave_out=("log.txt",))


def _handed_over(tree: Tree, before: Tree) -> Outcome:
    """Resume a run that the tree before began: both trees get the same state."""
    begun = before.scratch / "begun"
    if tree is before:
        _begin_and_kill(before, before.scratch / "begun-for-all")
        (before.scratch / "begun-for-all").rename(begun)
    deadline = time.monotonic() + HAND_OVER_TIMEOUT_S
    while not begun.exists():  # the tree before is making it in another thread
        if time.monotonic() > deadline:
            raise RuntimeError(f"{before.name}: it began no run that could be handed over")
        time.sleep(0.1)
    shutil.copytree(begun, tree.scratch / "handed-over")
    said = tree.succeed("-m", "training", "resume", "handed-over")
    return {"said": said_without_times(said), **folder_outcome(tree.scratch / "handed-over", "run")}


def _begin_and_kill(tree: Tree, run: Path) -> None:
    """Begin a run and end it by SIGKILL once it has saved a few states.

    Raises:
        RuntimeError: it came to its end by itself.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "training", *_fit(run.name, KILLED)],
        cwd=tree.scratch,
        env=tree.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not (run / "grids" / "00005.png").exists():
        time.sleep(0.005)
    process.kill()
    if process.wait() == 0 or not (run / "checkpoint.safetensors").exists():
        raise RuntimeError(f"{tree.name}: the run was not killed before its end: exit code {process.returncode}")


def _two_processes(tree: Tree) -> Outcome:
    """Train a run in two processes."""
    fit = _fit("two", ("epochs=4", "r1_gamma=1"))
    tree.succeed("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "training", *fit)
    return folder_outcome(tree.scratch / "two", "run")


def _commands(tree: Tree) -> Outcome:
    """Return what commands print: their help, their plans, and their errors for mistakes."""
    asked = {"help": ("--help",), **{f"{name} --help": (name, "--help") for name in COMMANDS}, **MISTAKES}
    asked |= {f"fit {name} --dry-run": ("fit", name, "--threads", "1", "--dry-run") for name in RECIPES}
    found = {}
    for name, arguments in asked.items():
        done = tree.python("-m", "training", *arguments)
        said = b"exit code %d\n%b\n%b" % (done.returncode, done.stdout, done.stderr)
        found[name] = _COST.sub(b"COST", said.replace(bytes(tree.path), b"TREE"))
    return found
