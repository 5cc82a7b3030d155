"""`python -m benchmarks.weight_averages`: averages of G's weights over a run, with several half-lives at once.

A run keeps one average of G (`training.gan.ema`). This command makes others from the states that the run saves:

    keep RUN STATES     while `fit` trains the run, keep G's weights once in each epoch
    measure RUN STATES  print the figures of averages
    write RUN STATES TO write a copy of the run with an average as its last state, for `export --state last`

If the half-life is many epochs, an average of one state of each epoch hardly differs from one of the states after each
step.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from harness.report import describe_machine, table
from models.images import channels_first, to_uint8
from models.latents import draw_latents
from training.config import RunConfig
from training.data.dataset import load_dataset
from training.evaluation.evaluate import SAMPLE_SEED, SAMPLES
from training.evaluation.features import extract
from training.evaluation.metrics import frechet_distance
from training.evaluation.parzen import VALIDATION_IMAGES, estimate
from training.gan.game import Game
from training.run.checkpoint import load_checkpoint, read_progress, save_checkpoint
from training.run.folder import RunFolder

Weights = dict[str, torch.Tensor]
_PREFIX = "generator."
_FORGOTTEN = 2**-6
"""States with a smaller weight than this are left out of an average."""


def main() -> None:
    """Keep states, measure averages, or write one."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    run = RunFolder(options.run)
    if options.action == "keep":
        keep(run, options.states)
    elif options.action == "measure":
        print(f"{describe_machine()}; {options.threads} thread(s)\n")
        measure(run, options.states, options.halflives)
    else:
        write(run, options.states, options.halflife, options.to)


def keep(run: RunFolder, states: Path) -> None:
    """Save the G of the first saved state of each epoch, until the run has ended."""
    states.mkdir(exist_ok=True)
    finished = False
    while not finished:
        if run.checkpoint_file.exists():
            progress = read_progress(run.checkpoint_file)
            file, finished = states / f"{progress.epoch:05d}.safetensors", progress.finished
            if not file.exists():
                saved = load_file(run.checkpoint_file)
                save_file({name: tensor for name, tensor in saved.items() if name.startswith(_PREFIX)}, file)
        time.sleep(1)


def measure(run: RunFolder, states: Path, halflives: list[float]) -> None:
    """Print the Parzen log-likelihood and the Fréchet distance of G and of its averages."""
    config = run.read_config()
    files = sorted(states.glob("*.safetensors"))
    data, generator = load_dataset(config.data), _game(config).generator.eval()
    held_out = extract(data.held_out, digits=1).values

    def figures(weights: Weights) -> list[str]:
        generator.load_state_dict(weights)
        samples = _draw(generator, config)
        split = len(data.images) * 5 // 6
        found = estimate(samples, data.images[split : split + VALIDATION_IMAGES], data.held_out)
        distance = frechet_distance(held_out, extract(samples, digits=1).values)
        return [f"{found.mean:.1f}", f"{found.standard_error:.1f}", f"{distance:.1f}"]

    rows = [["G itself", *figures(_weights(files[-1]))]]
    rows += [[f"{halflife:g} epochs", *figures(average(files, halflife))] for halflife in halflives]
    print(f"after epoch {int(files[-1].stem)}, {len(files)} states\n")
    print(table(["half-life", "Parzen", "its standard error", "Fréchet"], rows))


def average(files: list[Path], halflife: float) -> Weights:
    """Return the average of states, the newest last. k epochs before the last one, the weight is ½^(k/halflife)."""
    shares = [0.5 ** (k / halflife) for k in range(len(files))]
    shares = [share for share in shares if share >= _FORGOTTEN]
    mean: Weights = {}
    for share, weights in zip(shares, _newest_first(files), strict=False):
        for name, tensor in weights.items():
            part = tensor * (share / sum(shares))
            mean[name] = mean[name] + part if name in mean else part
    return mean


def write(run: RunFolder, states: Path, halflife: float, to: Path) -> None:
    """Write a copy of the run whose last state has this average of G; its config.json names the half-life in images."""
    old = run.read_config()
    images = halflife * old.steps_per_epoch * old.recipe.batch_size
    others = tuple(change for change in old.overrides if not change.startswith("ema_halflife_images="))
    recipe = old.recipe.model_copy(update={"ema_halflife_images": images})
    config = old.model_copy(update={"recipe": recipe, "overrides": (*others, f"ema_halflife_images={images:.0f}")})
    game = _game(config)
    progress = load_checkpoint(run.checkpoint_file, game)
    files = [file for file in sorted(states.glob("*.safetensors")) if int(file.stem) <= progress.epoch]
    game.average.network.load_state_dict(average(files, halflife))
    shutil.copytree(run.path, to)
    copy = RunFolder(to)
    copy.config_file.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    save_checkpoint(copy.checkpoint_file, game, progress, config)


def _newest_first(files: list[Path]) -> Iterator[Weights]:
    return (_weights(file) for file in reversed(files))


def _weights(file: Path) -> Weights:
    return {name.removeprefix(_PREFIX): tensor for name, tensor in load_file(file).items()}


def _draw(generator: nn.Module, config: RunConfig) -> torch.Tensor:
    recipe = config.recipe
    latents = torch.from_numpy(draw_latents(SAMPLE_SEED, 0, SAMPLES, z_dim=recipe.z_dim, prior=recipe.prior))
    with torch.inference_mode():
        return channels_first(to_uint8(torch.cat([generator(part) for part in torch.split(latents, 1000)])))


def _game(config: RunConfig) -> Game:
    data = load_dataset(config.data).first(config.recipe.train_images)
    return Game.of(config, data, device=torch.device("cpu"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.weight_averages", description="Average G's weights over the epochs of a run."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, words in (
        ("keep", "keep G's weights once in each epoch of a run that is being trained"),
        ("measure", "print the figures of averages"),
        ("write", "write a copy of the run with an average as its last state"),
    ):
        action = actions.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
        action.add_argument("run", metavar="RUN", type=Path, help="the run folder")
        action.add_argument("states", metavar="STATES", type=Path, help="the folder of the kept weights")
        if name == "measure":
            action.add_argument("halflives", metavar="EPOCHS", type=float, nargs="+", help="half-lives of the averages")
        if name == "write":
            action.add_argument("to", metavar="TO", type=Path, help="the new run folder")
            action.add_argument("--halflife", metavar="EPOCHS", type=float, required=True, help="the half-life")
        action.add_argument("--threads", metavar="N", type=int, default=1, help="threads of PyTorch (default: 1)")
    return parser


if __name__ == "__main__":
    main()
