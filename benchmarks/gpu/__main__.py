"""`python -m benchmarks.gpu`: all that should be seen on a GPU, in one command; `make gpu-check` runs it.

It runs the tests that touch a device, compares first losses and pictures with the CPU's, and measures speed and memory.
The exit code is 0 if all that was run is right, 1 if something is wrong, and 2 if the device is not there.
"""

import argparse
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.pictures import measure_pictures
from benchmarks.gpu.steps import FAILURES, configure, data_for, first_losses, in_one_line, measure_speed
from benchmarks.gpu.ways import WAYS, measure_way, tf32
from harness.report import describe_machine, table
from harness.repository import ROOT
from models import bundled_models_dir
from models.device import resolve_device
from models.errors import DeviceError
from training.recipe import recipe_names

TESTS = (
    "tests/models/test_device.py",
    "tests/models/inference",
    "tests/training/gan",
    "tests/training/run",
    "tests/training/cli",
    "tests/training/test_cost.py",
    "tests/app/test_settings.py",
    "tests/app/inference",
)
"""The tests that touch a device: `fit` and the service take a CUDA device by themselves where there is one."""

LOSS_TOLERANCE = 1e-3
"""The largest relative difference of a first loss in float32 from the CPU's that counts as rounding."""


def main() -> int:
    """Measure and print the tables; return the exit code."""
    options = _parser().parse_args()
    try:
        device = resolve_device(options.device)
    except DeviceError as error:
        print(f"error: this check needs a GPU: {error}; `--device cpu` rehearses it on the CPU", file=sys.stderr)
        return 2
    print(f"{describe_device(device)}; {describe_machine()}\n")
    wrong = []
    if options.tests:
        wrong += run_tests(options.tests)
    wrong += compare_training(options, device)
    compare_ways(options, device)
    wrong += compare_pictures(options, device)
    if options.pictures is not None:
        wrong += train_on(options.pictures, minutes=options.minutes, device=options.device, out=options.out)
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    return 1 if wrong else 0


def describe_device(device: torch.device) -> str:
    """Return the name, memory and driver of a CUDA device; of the CPU, that it stands for a GPU in a rehearsal."""
    if device.type == "mps":
        return "Apple GPU (mps)"
    if device.type == "cpu":
        return "REHEARSAL on the CPU, not on a GPU"
    facts = torch.cuda.get_device_properties(device)
    return f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"


def run_tests(paths: list[str]) -> list[str]:
    """Run tests by pytest, print the summary, and return what is wrong."""
    _say(f"tests: {' '.join(paths)} …")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *paths]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines() or ["no output"]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    print("\n".join(["## Tests\n", *[f"- {line}" for line in failed], lines[-1], ""]))
    return [f"the tests ended with code {done.returncode}"] if done.returncode else []


def compare_training(options: argparse.Namespace, device: torch.device) -> list[str]:
    """Print a table of recipes: first losses beside the CPU's, speed and memory. Return what is wrong."""
    rows, wrong = [], []
    for name in options.recipes:
        _say(f"training: {name} …")
        try:
            row, apart = _train(name, options, device)
        except FAILURES as error:
            wrong.append(f"{name}: {in_one_line(error)}")
            continue
        rows.append(row)
        if not apart <= LOSS_TOLERANCE:  # a NaN is wrong, too
            wrong.append(f"{name}: the first losses of D and G, each beside the CPU's, are {', '.join(row[1:5])}")
    heads = ["recipe", "D's first loss", "on the CPU", "G's first loss", "on the CPU", "apart", "precision"]
    print(f"## Training\n\n{table([*heads, 'images/s', 'memory, MiB'], rows)}\n")
    return wrong


def _train(name: str, options: argparse.Namespace, device: torch.device) -> tuple[list[str], float]:
    """Return a recipe's row, and the largest relative difference of its first losses from the CPU's."""
    dataset = data_for(name, images=options.images, side=options.side)
    config, data = configure(name, dataset, device=options.device, overrides=("precision=float32",))
    with tf32("nowhere"):
        here, there = (first_losses(config, data, device=on) for on in (device, torch.device("cpu")))
    apart = float(np.max(np.abs(np.subtract(here, there)) / np.maximum(np.abs(there), 1e-6)))
    config, data = configure(name, dataset, device=options.device)
    speed = measure_speed(config, data, device=device, seconds=options.seconds)
    shown = [f"{loss:.6f}" for pair in zip(here, there, strict=True) for loss in pair]
    row = [name, *shown, f"{apart:.1e}", config.recipe.precision, f"{speed.images_per_s:,.0f}", speed.memory]
    return row, apart


def compare_ways(options: argparse.Namespace, device: torch.device) -> None:
    """Print a table of the ways to compute a step, for each recipe of the option."""
    rows = []
    for recipe in options.ways_of:
        dataset, reference = data_for(recipe, images=options.images, side=options.side), math.nan
        for name in options.ways:
            _say(f"{recipe}: {name} …")
            speed = measure_way(
                name, recipe, dataset, device_name=options.device, device=device, seconds=options.seconds
            )
            if isinstance(speed, str):
                rows.append([f"{recipe}: {name}", speed, "–", "–"])
                continue
            if name == next(iter(WAYS)):
                reference = speed.images_per_s
            gain = "–" if math.isnan(reference) else f"{speed.images_per_s / reference:.2f}"
            rows.append([f"{recipe}: {name}", f"{speed.images_per_s:,.0f}", gain, speed.memory])
    print(f"## Ways to compute a step\n\n{table(['way', 'images/s', '× float32', 'memory, MiB'], rows)}\n")


def compare_pictures(options: argparse.Namespace, device: torch.device) -> list[str]:
    """Print a table of models: pictures and logits beside the CPU's, and rates. Return what is wrong."""
    rows, wrong = [], []
    for name in options.models:
        _say(f"serving: {name} …")
        folder = Path(name) if Path(name).is_dir() else bundled_models_dir() / name
        try:
            drawn = measure_pictures(
                folder.absolute(),
                device_name=options.device,
                device=device,
                images=options.images,
                sizes=tuple(options.calls),
                seconds=options.seconds,
            )
        except FAILURES as error:
            wrong.append(f"{name}: {in_one_line(error)}")
            continue
        seen = drawn.difference
        cells = [f"{seen.levels}", f"{seen.share:.4%}", f"{seen.logits:.1e}"]
        cells += [f"{rate:,.0f}" for rate in drawn.rates.values()]
        rows.append([folder.name, *cells, f"{drawn.service_rate:,.0f}", f"{drawn.service_levels}"])
    heads = ["model", "largest difference, grey levels", "pixels that differ", "largest difference of logits"]
    heads += [f"images/s, {n} a call" for n in options.calls] + ["images/s, service", "service against sampler, levels"]
    print(f"## Serving, beside the CPU's pictures\n\n{table(heads, rows)}\n")
    return wrong


def train_on(pictures: Path, *, minutes: float, device: str, out: Path) -> list[str]:
    """Train `photos-large` on a folder of pictures for some minutes; return what is wrong."""
    _say(f"photos-large on {pictures} for {minutes:g} minutes …")
    command = [sys.executable, "-m", "training", "fit", "photos-large", "--data", str(pictures.absolute())]
    command += ["--minutes", f"{minutes:g}", "--device", device, "--out", str(out.absolute())]
    code = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode
    print(f"## photos-large\n\n{minutes:g} minutes on {pictures}: exit code {code}; the run is in {out}\n")
    return [f"photos-large ended with code {code}"] if code else []


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description="Check and measure this project on a GPU, beside the CPU."
    )
    models = sorted(folder.name for folder in bundled_models_dir().iterdir() if folder.is_dir())
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    add = parser.add_argument
    add("--device", choices=["cuda", "mps", "cpu"], default="cuda", help="cpu: a rehearsal (default: cuda)")
    add("--tests", nargs="*", default=list(TESTS), help="tests to run; no path: none (default: those of a device)")
    add("--recipes", nargs="*", default=recipe_names(), help="recipes to train for a few steps (default: all)")
    add("--ways-of", nargs="*", default=["conv", "photos-large"], help="recipes whose steps are computed in all ways")
    add("--ways", nargs="*", default=list(WAYS), choices=list(WAYS), metavar="WAY", help="default: all")
    add("--models", nargs="*", default=models, help="bundled models or model folders to serve (default: all bundled)")
    add("--calls", nargs="+", type=int, default=[1, 64, 1024], help="images in a call (default: 1 64 1024)")
    add("--images", type=int, default=4096, help="images to train on, and to compare (default: 4096)")
    add("--side", type=int, default=32, help="side of the images for photos and photos-large (default: 32 pixels)")
    add("--seconds", type=float, default=5, help="seconds of each measurement (default: 5)")
    add("--pictures", type=Path, help="train photos-large on these pictures (default: do not)")
    add("--minutes", type=float, default=30, help="minutes of that training (default: 30)")
    add("--out", type=Path, default=Path("runs", f"gpu-check-{now}"), help="the run folder of that training")
    return parser


if __name__ == "__main__":
    sys.exit(main())
