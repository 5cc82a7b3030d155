"""Several processes of one training, as forked children: `python -m tests.training.several FOLDER`.

It is a separate process because it forks, as `tests.training.crash` does, so that imports are done only once. Its
children find each other through the environment, as those of `torch.distributed.run` do. It prints the result of each
scene as JSON, by name.
"""

import json
import os
import random
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import training.run.alarm_response
import training.run.loop
import training.run.run
import training.run.writer
from harness.tiny_models import make_tiny_model_folder
from models.images import ImageShape
from tests.training.crash import KILLS_A_GAME, MAX_TRIES, compare, state, wait_for_a_new_state, warm_up
from tests.training.support import (
    CONSTANT_RATES,
    TINY,
    falling,
    grid_bytes,
    make_config,
    report,
    sets,
    tiny_images,
    tiny_recipe,
)
from training.cli import command_line
from training.config import RunConfig
from training.data.dataset import load_dataset
from training.errors import NotFiniteError, TrainingError
from training.gan.distributed import ALONE, Processes, joined
from training.gan.game import Game
from training.recipe import Recipe
from training.run.checkpoint import read_progress, state_of
from training.run.folder import RunFolder
from training.run.loop import epoch_batches, play_step, train
from training.run.progress import Progress
from training.run.writer import open_writer

Scene: TypeAlias = Callable[[Processes], Any]
"""The work of a process after it has joined the others; its result is sent as JSON."""

DIED = 77
PATIENCE_S = 600
LABELS = 3


def sgd(learning_rate: float) -> tuple[str, ...]:
    """SGD moves a weight by its gradient, so rounding errors stay small; Adam's first steps depend only on its sign."""
    settings = f'{{name="sgd", learning_rate={learning_rate}, momentum_start=0.5, momentum_final=0.5}}'
    return tuple(f"{player}_optimiser={settings}" for player in ("generator", "discriminator"))


def conv(settings: str) -> str:
    sizes = "generator_channels=[6, 4], discriminator_channels=[4, 6], batch_normalisation=false"
    return f'architecture={{name="conv", {sizes}, {settings}}}'


def game(name: str, *overrides: str) -> Recipe:
    return tiny_recipe(name, "batch_size=16", "epochs=3", *sgd(0.05), *overrides)


PAPER = "the paper's, dropped out"
EXACT = {
    PAPER: game("goodfellow2014"),
    "relativistic, conditional, penalties": game(
        "conv", conv("leaky_slope=0.2"), "loss=relativistic", "r1_gamma=1", "r2_gamma=1", "conditional=true"
    ),
    "packs, groups, dropout": game(
        "conv", conv("group_deviation=true, hidden_keep_probability=0.7"), "packing=2", "loss=hinge"
    ),
    "relativistic, conditional, adaptive": game(
        "conv",
        conv("leaky_slope=0.2"),
        *("loss=relativistic", "r1_gamma=1", "conditional=true", "augmentation=0.5", "augmentation_target=0.5"),
        'augmentations=["mirror", "affine", "colour", "translation", "cutout"]',
    ),
    "WGAN-GP, augmented": game(
        "conv",
        conv("input_keep_probability=0.8"),
        "loss=wasserstein",
        "gradient_penalty=10",
        "augmentation=0.6",
        "spectral_norm=true",
        "d_steps=2",
        *sgd(0.005),  # λ = 10 makes the gradients large: larger steps magnify each rounding a thousand times
    ),
}
NORMALISED = game("mlp")
EVERY_STEP = ("batch_size=18", "checkpoint_interval_s=0")


def main() -> None:
    torch.set_num_threads(1)
    root = Path(sys.argv[1])
    vars(training.run.writer)["draw_curves"] = lambda *_args, **_kwargs: b"curves"  # it is slow and not tested here
    vars(os)["fsync"] = lambda _descriptor: None
    data = root / "data.npz"
    np.savez(data, images=tiny_images(), labels=np.arange(40) % LABELS)
    warm_up(root / "warm", make_config(tiny_recipe("mlp", "epochs=1"), data))
    result = {
        "means": means(),
        "games": {name: compare_games(root, data, recipe) for name, recipe in EXACT.items()},
        "normalised": compare_games(root, data, NORMALISED),
        "kills": killed_at_random_moments(root, data),
        "rollback": one_weight_is_not_finite(root, data),
        "writers": who_writes(root, data),
        "minutes": one_clock(root, data),
        "seeds": another_seed(root, data),
        "figures": figures_that_fail(),
        "death": one_dies(root, data),
        "silence": one_stops(),
        "fewer": one_goes_on(root, data),
        "begun": begun_from_a_model(root, data),
    }
    print(json.dumps(result))


# --- Processes ------------------------------------------------------------------------------------


def together(scene: Scene | Sequence[str], *, world: int = 2) -> list[Any]:
    """Return the answer of each of `world` processes, or {"died": exit code} for a process without an answer."""
    return [said(child) for child in begin(scene, world=world)]


def begin(scene: Scene | Sequence[str], *, world: int = 2) -> list[tuple[int, int]]:
    """Fork the processes, and return the process ID of each and the pipe on which it will send its answer.

    A scene may be a command line; its answer is then the exit code.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    return [_fork(scene, rank, world, port) for rank in range(world)]


def said(child: tuple[int, int]) -> Any:
    pid, pipe = child
    with os.fdopen(pipe) as file:
        text = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return json.loads(text) if text else {"died": code}


def _fork(scene: Scene | Sequence[str], rank: int, world: int, port: str) -> tuple[int, int]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        signal.alarm(PATIENCE_S)  # a process that hangs ends without an answer
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "tests"}
        os.write(
            writing, json.dumps(command_line.main(scene) if isinstance(scene, Sequence) else _answer(scene)).encode()
        )
    except BaseException:  # noqa: BLE001  (a child must end here whatever happens)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _answer(scene: Scene) -> Any:
    try:
        with joined("cpu") as processes:
            return scene(processes)
    except TrainingError as error:
        return {type(error).__name__: str(error)}


def play(folder: RunFolder, config: RunConfig, processes: Processes) -> None:
    """Begin or resume a run, as `fit` and `resume` do."""
    if processes.first and not folder.config_file.exists():
        folder.create(config)
    with open_writer(config, folder, processes) as writer:
        train(config, load_dataset(config.data), folder, writer, processes)


# --- Scenes ---------------------------------------------------------------------------------------


def means() -> dict[str, float]:
    """Return the largest error of a mean over 2 and 3 processes, and how far the processes' results differ."""

    def numbers(rank: int) -> list[torch.Tensor]:
        rng = torch.Generator().manual_seed(rank)
        return [torch.randn(shape, generator=rng) for shape in ((), (3,), (5, 4), (2, 3, 4))]

    def scene(processes: Processes) -> list[list[float]]:
        own = numbers(processes.rank)
        own[2] = own[2].T  # not contiguous
        return [mean.flatten().tolist() for mean in processes.average(own)]

    errors = {}
    for world in (2, 3):
        seen = together(scene, world=world)
        wanted = [torch.stack(same).double().mean(0) for same in zip(*map(numbers, range(world)), strict=True)]
        wanted[2] = wanted[2].T
        flat = torch.cat([tensor.flatten() for tensor in wanted])
        got = [torch.tensor([number for numbers in of for number in numbers], dtype=torch.float64) for of in seen]
        errors[f"error of {world}"] = max(float((each - flat).abs().max()) for each in got)
        errors[f"difference of {world}"] = max(float((each - got[0]).abs().max()) for each in got)
    return errors


def compare_games(root: Path, data: Path, recipe: Recipe) -> dict[str, float]:
    """Compare the games of one process and of two after six steps; return the largest differences."""
    config = make_config(recipe, data)
    file = root / "game-{world}-{rank}.safetensors"

    def scene(processes: Processes) -> dict[str, float]:
        dataset = load_dataset(config.data)
        game = Game.of(config, dataset, device=torch.device("cpu"), processes=processes)
        if recipe is EXACT[PAPER]:  # its D begins with weights so small that nothing would change in six steps
            with torch.no_grad():
                for parameter in game.discriminator.parameters():
                    parameter.mul_(100)
        begun = {name: tensor.clone() for name, tensor in state_of(game).items()}
        progress = Progress()
        for epoch in range(1, recipe.epochs + 1):
            for batches in epoch_batches(config, epoch, start=0):
                play_step(game, dataset, batches, progress)
        ended = {name: tensor.contiguous() for name, tensor in state_of(game).items()}
        save_file(ended, str(file).format(world=processes.world, rank=processes.rank))
        moved = min(
            difference(*({name: of[name] for name in begun if name.startswith(f"{player}.")} for of in (begun, ended)))
            for player in ("generator", "discriminator")
        )
        return {"moved": moved, "steps": progress.step, "images": progress.images} | progress.sums.model_dump()

    (one,), two = together(scene, world=1), together(scene, world=2)
    states = [load_file(str(file).format(world=world, rank=rank)) for world, rank in ((1, 0), (2, 0), (2, 1))]
    return {
        "moved": one["moved"],
        "steps": one["steps"],
        "images": two[0]["images"] / one["images"],
        "apart": difference(states[1], states[2]) + float(two[0] != two[1]),
        "error": difference(states[0], states[1]),
        "figures": max(abs(one[name] - two[0][name]) for name in one if name != "moved"),
    }


def difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a | b)


def killed_at_random_moments(root: Path, data: Path) -> dict[str, Any]:
    """Kill both processes three times in a run of the commands; the end must equal an undisturbed run's bytes."""
    rng = random.Random(2014)
    differences: list[str] = []
    kills = 0
    codes: list[Any] = []
    for name, more in {"mlp": ["d_steps=2"], "goodfellow2014": ["grid_every_epochs=2"]}.items():
        whole, folder = RunFolder(root / f"{name} whole"), RunFolder(root / name)
        settings = sets([*TINY[name], *EVERY_STEP, *more])
        fit = ["fit", name, "--data", str(data), "--threads", "1", "--epochs", "8", *settings, "--out"]
        codes += together([*fit, str(whole.path)])
        left = KILLS_A_GAME
        for _ in range(MAX_TRIES):
            if not left:
                break
            resume = ["resume", str(folder.path)]
            children = begin(resume if folder.config_file.exists() else [*fit, str(folder.path)])
            for _ in range(rng.randint(1, 4)):
                wait_for_a_new_state(folder, children[0][0])
            time.sleep(rng.random() / 100)
            for pid, _ in children:
                os.kill(pid, signal.SIGKILL)
            ends = [said(child) for child in children]
            if ends == [{"died": -signal.SIGKILL}] * 2:
                kills += 1
                left -= 1
            elif 0 in ends:  # on a busy machine a run may end before it is killed: start it again
                shutil.rmtree(folder.path)
        codes += together(["resume", str(folder.path)])
        differences += compare(name, outcome(folder), outcome(whole))
    return {"kills": kills, "codes": codes, "differences": differences}


def outcome(folder: RunFolder) -> dict[str, object]:
    records = [json.loads(line) for line in folder.stats_file.read_text().splitlines()]
    return {
        "grids": grid_bytes(folder),
        "stats": [{**record, "seconds": None} for record in records],
        "state": state(folder.checkpoint_file),
        "epochs": len(records),
    }


def one_weight_is_not_finite(root: Path, data: Path) -> dict[str, Any]:
    """Put a NaN into the second process in epoch 3: both must return to the best state and reach the same end."""
    recipe = tiny_recipe("mlp", "epochs=4", "metrics_every_epochs=1", *CONSTANT_RATES, "batch_size=18")
    config = make_config(recipe, data, on_collapse="rollback", processes=2)
    folder = RunFolder(root / "rollback")
    real_step = training.run.loop.play_step

    def scene(processes: Processes) -> dict[str, int]:
        def poisoned(game: Game, data: Any, batches: Any, progress: Progress) -> None:
            seen.append(progress.rollbacks)
            if processes.rank == 1 and (progress.epoch, progress.position, progress.rollbacks) == (3, 1, 0):
                with torch.no_grad():
                    next(game.generator.parameters()).fill_(float("nan"))
            real_step(game, data, batches, progress)

        seen: list[int] = []
        vars(training.run.loop)["play_step"] = poisoned
        report(lambda epoch, rollbacks: falling(epoch, rollbacks, at=0))
        play(folder, config, processes)
        return {"before": seen.count(0), "after": seen.count(1)}

    steps = together(scene)
    events = [json.loads(line) for line in folder.events_file.read_text().splitlines()]
    return {"steps": steps, "events": [(event["epoch"], event["kind"], event["action"]) for event in events]}


def who_writes(root: Path, data: Path) -> list[list[str]]:
    """Return the names of the files that each process wrote, renamed, made or removed in a whole run.

    The second process has no monitor, and ends with an error if it makes one.
    """
    recipe = tiny_recipe("mlp", "epochs=2", "metrics_every_epochs=1", *CONSTANT_RATES, *EVERY_STEP)
    config = make_config(recipe, data, processes=2)
    folder = RunFolder(root / "writers")

    def scene(processes: Processes) -> list[str]:
        written: list[str] = []

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
                written.append(Path(str(arguments[0])).name)
            elif event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}:
                written.append(f"{event} {Path(str(arguments[0])).name}")

        figures = [{"frechet": frechet, "coverage": 0.5} for frechet in (7.0, 8.0)]
        monitor = (
            SimpleNamespace(measure=lambda _game: figures.pop(), warning=None, features="pixels")
            if processes.first
            else None
        )
        vars(training.run.loop)["open_monitor"] = {0: lambda *_arguments, **_named: monitor}.get(processes.rank)
        sys.addaudithook(watch)
        play(folder, config, processes)
        return written

    return together(scene)


def one_clock(root: Path, data: Path) -> list[int]:
    """Return the steps of each process; the first's clock advances by a second per reading, the second's stops."""
    config = make_config(tiny_recipe("mlp", "epochs=100", "batch_size=18"), data, minutes=0.1, processes=2)
    folder = RunFolder(root / "minutes")

    def scene(processes: Processes) -> int:
        ticks: Iterator[int] = count() if processes.first else iter(lambda: 0, 1)
        vars(training.run.run)["time"] = SimpleNamespace(monotonic=lambda: float(next(ticks)))
        steps: list[int] = []
        vars(training.run.loop)["play_step"] = counting(steps)
        play(folder, config, processes)
        return len(steps)

    return together(scene)


def counting(steps: list[int]) -> Callable[..., None]:
    real_step = training.run.loop.play_step

    def play_step(*arguments: Any) -> None:
        steps.append(1)
        real_step(*arguments)

    return play_step


def another_seed(root: Path, data: Path) -> list[dict[str, str]]:
    """Return the answers of both processes, first with different settings, then with different weights."""
    config = make_config(tiny_recipe("mlp", "epochs=1", "batch_size=18"), data, processes=2)

    def settings(processes: Processes) -> None:
        play(RunFolder(root / "settings"), config.model_copy(update={"seed": 5 + processes.rank}), processes)

    def weights(processes: Processes) -> None:
        real_game = Game.of

        def other(config: RunConfig, *arguments: Any, **more: Any) -> Game:
            return real_game(config.model_copy(update={"seed": 5 + processes.rank}), *arguments, **more)

        vars(training.run.loop)["Game"] = SimpleNamespace(of=other)
        play(RunFolder(root / "weights"), config, processes)

    return [*together(settings), *together(weights)]


def figures_that_fail() -> list[Any]:
    """Return, from both processes, the first's figures and then its error."""

    def scene(processes: Processes) -> list[Any]:
        seen = [processes.figures_of_first(lambda: {"frechet": 1 / 3 if processes.first else 2.0, "größe": 0.1})]

        def fail() -> dict[str, float]:
            raise NotFiniteError("frechet of G's samples is nan")

        try:
            processes.figures_of_first(fail)
        except NotFiniteError as error:
            return [*seen, str(error)]
        return seen

    return together(scene)


def one_dies(root: Path, data: Path) -> list[Any]:
    """The second process ends in its fifth step without a message; the first must then end too."""
    config = make_config(tiny_recipe("mlp", "epochs=8", "batch_size=18"), data, processes=2)
    folder = RunFolder(root / "death")

    def scene(processes: Processes) -> None:
        real_step = training.run.loop.play_step

        def dying(game: Game, data: Any, batches: Any, progress: Progress) -> None:
            if processes.rank == 1 and progress.step == 4:
                os._exit(DIED)
            real_step(game, data, batches, progress)

        vars(training.run.loop)["play_step"] = dying
        play(folder, config, processes)

    return together(scene)


def one_stops() -> Any:
    """Stop the second process without ending it; return the first's answer after its timeout, here one second."""

    def scene(processes: Processes) -> None:
        if processes.rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        processes.average([torch.ones(3)])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.gan.distributed.TIMEOUT_S", 1)
        first, second = begin(scene)
    answer = said(first)
    os.kill(second[0], signal.SIGKILL)
    return [answer, said(second)]


def one_goes_on(root: Path, data: Path) -> dict[str, Any]:
    """Return the log of a run that two processes began and one finished, and the numbers of processes in its state."""
    config = make_config(tiny_recipe("mlp", "epochs=2", *EVERY_STEP), data, processes=2)
    folder = RunFolder(root / "fewer")

    def scene(processes: Processes) -> None:
        real_step = training.run.loop.play_step

        def dying(game: Game, data: Any, batches: Any, progress: Progress) -> None:
            if progress.step == 2:
                os._exit(DIED)
            real_step(game, data, batches, progress)

        vars(training.run.loop)["play_step"] = dying
        play(folder, config, processes)

    together(scene)
    play(folder, folder.read_config(), ALONE)
    log = [line[20:] for line in folder.log_file.read_text().splitlines()]
    return {"log": log, "processes": read_progress(folder.checkpoint_file).processes}


def begun_from_a_model(root: Path, data: Path) -> dict[str, Any]:
    """Two processes begin from a model by the command line, and go on past the end; return their codes, and the log."""
    make_tiny_model_folder(root / "old", z_dim=4, image_shape=ImageShape(height=16, width=16), judge=False)
    run = root / "begun"
    own = [setting for setting in TINY["mlp"] if not setting.startswith(("architecture", "z_dim"))]
    start = ["--init-from", str(root / "old"), "--threads", "1", "--epochs", "1"]
    codes = together(["fit", "mlp", "--data", str(data), "--out", str(run), *start, *sets([*own, "batch_size=18"])])
    shutil.rmtree(root / "old")
    codes += together(["resume", str(run), "--epochs", "2"])
    folder = RunFolder(run)
    log = [line[20:] for line in folder.log_file.read_text().splitlines()]
    return {"codes": codes, "log": log, "extensions": len(folder.read_config().extensions)}


if __name__ == "__main__":
    main()
