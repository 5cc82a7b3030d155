"""Kills training in forked children, and resumes it until it ends: `python -m tests.training.crash MODE FOLDER`.

It is a separate process because it forks: imports are done only once, and no other thread runs in it. It prints JSON:
the number of kills, and every difference from the run that was never stopped.
"""

import json
import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import torch
from safetensors.torch import load_file
from tqdm import tqdm

import training.run.writer
from harness.tiny_models import make_tiny_model_folder
from models.images import ImageShape
from models.model_folder.read import load_model
from tests.training.support import (
    CONSTANT_RATES,
    exported_bytes,
    falling,
    grid_bytes,
    make_config,
    play,
    report,
    tiny_recipe,
    write_npz,
)
from training.config import RunConfig
from training.recipe import Recipe
from training.run.checkpoint import read_progress
from training.run.extension import describe_extension, extend, has_ended
from training.run.folder import RunFolder
from training.run.progress import Progress
from training.run.starting_model import serialise_start, start_of_model
from training.run.writer import FolderWriter

DIED = 77
KILLS_A_GAME = 3
MAX_TRIES = 60
PATIENCE_S = 120
STARTS: dict[str, bytes] = {}
"""The files of the models that runs begin from, by their references."""

EVERY_STEP = ("batch_size=18", "checkpoint_interval_s=0")
GAMES = {
    "mlp float32": tiny_recipe("mlp", "epochs=8", "d_steps=2", "checkpoint_interval_s=0"),
    "mlp bfloat16": tiny_recipe("mlp", "epochs=8", "precision=bfloat16", "checkpoint_interval_s=0"),
    "goodfellow2014": tiny_recipe("goodfellow2014", "epochs=8", "grid_every_epochs=2", "checkpoint_interval_s=0"),
}


def main() -> None:
    torch.set_num_threads(1)
    mode, root = sys.argv[1], Path(sys.argv[2])
    if mode != "real":
        vars(training.run.writer)["draw_curves"] = lambda *_args, **_kwargs: b"curves"  # takes long, is not the point
        vars(os)["fsync"] = lambda _descriptor: None  # a killed process loses nothing that it wrote; a machine would
    data = write_npz(root / "data.npz")
    warm_up(root / "warm", make_config(tiny_recipe("mlp", "epochs=1"), data))
    if mode == "moments":
        result = at_random_moments(root, data, GAMES)
    elif mode == "real":  # with real curves and real syncs
        result = at_random_moments(root, data, {"mlp": tiny_recipe("mlp", "epochs=5", "checkpoint_interval_s=0")})
    elif mode == "start":  # a run that begins from a model
        result = at_every_sync(root, from_a_model(root, data))
    elif mode == "extension":  # a run of one epoch that then gets a second one
        config = make_config(tiny_recipe("mlp", "epochs=1", *EVERY_STEP), data)
        result = at_every_sync(root, extend(config, Progress(epoch=2), epochs=2, minutes=None), first=7)
    elif mode == "syncs":
        result = at_every_sync(root, make_config(tiny_recipe("mlp", "epochs=2", *EVERY_STEP), data))
    else:
        report(partial(falling, at=2))
        recipe = tiny_recipe("mlp", "epochs=3", "metrics_every_epochs=1", *CONSTANT_RATES, *EVERY_STEP, "batch_size=36")
        # From the end of the first epoch on, and only before a file gets its name: after it is before the next one.
        result = at_every_sync(root, make_config(recipe, data, on_collapse="rollback"), first=20, step=2)
    print(json.dumps(result))


def warm_up(path: Path, config: RunConfig) -> None:
    """Let PyTorch do the work of its first step before there are children, so that not every child repeats it.

    tqdm gets a lock for each process: its own is shared by all forked processes, and a child that is killed while it
    holds the lock would stop the next ones for ever. It gets no monitor thread, which would take the lock, too.
    """
    tqdm.set_lock(threading.RLock())
    tqdm.monitor_interval = 0
    folder = RunFolder(path)
    folder.create(config)
    play(folder, config)
    exported_bytes(folder, config, path / "model")


def at_every_sync(root: Path, config: RunConfig, *, first: int = 1, step: int = 1) -> dict[str, object]:
    """End before the n-th fsync, for every n: between any two files, and between writing a file and renaming it."""
    wanted = outcome(RunFolder(root / "whole"), config)
    differences: list[str] = []
    for n in count(first, step):
        folder = RunFolder(root / f"sync-{n}")

        def begin(folder: RunFolder = folder, n: int = n) -> None:
            die_at_sync(n)
            start_or_go_on(folder, config)

        code = wait(fork(begin))
        if code == 0:
            return {"kills": (n - first) // step, "differences": differences}
        if code != DIED:
            differences.append(f"sync {n}: exit code {code}")
        differences += compare(f"sync {n}", outcome(folder, config), wanted)
    raise AssertionError


def at_random_moments(root: Path, data: Path, games: dict[str, Recipe]) -> dict[str, object]:
    """Send SIGKILL three times in a run, a short time after a random number of saved states."""
    rng = random.Random(2014)
    kills = 0
    differences: list[str] = []
    for name, recipe in games.items():
        config = make_config(recipe, data)
        wanted = outcome(RunFolder(root / f"{name} whole"), config)
        folder = RunFolder(root / name)
        left = KILLS_A_GAME
        for _ in range(MAX_TRIES):
            if not left:
                break
            pid = fork(lambda folder=folder, config=config: start_or_go_on(folder, config))  # type: ignore[misc]
            for _ in range(rng.randint(1, 6)):
                wait_for_a_new_state(folder, pid)
            for _ in range(rng.randrange(300)):  # somewhere inside the next step
                folder.checkpoint_file.exists()
            os.kill(pid, signal.SIGKILL)
            code = wait(pid)
            if code == -signal.SIGKILL:
                kills += 1
                left -= 1
            elif code == 0:  # on a busy machine a run may end before its killer wakes: it begins once more
                shutil.rmtree(folder.path)
            else:
                differences.append(f"{name}: exit code {code}")
        differences += compare(name, outcome(folder, config), wanted)
        models = [exported_bytes(of, config, of.path / "model") for of in (RunFolder(root / f"{name} whole"), folder)]
        if models[0] != models[1]:
            differences.append(f"{name}: models differ")
    return {"kills": kills, "differences": differences}


def from_a_model(root: Path, data: Path) -> RunConfig:
    """Return the configuration of a run that begins from a tiny model, whose file is kept in `STARTS`."""
    make_tiny_model_folder(root / "old", z_dim=4, image_shape=ImageShape(height=16, width=16), judge=False)
    start = start_of_model(load_model(root / "old"))
    STARTS[start.reference] = serialise_start(start)
    recipe = tiny_recipe("mlp", "epochs=1", *EVERY_STEP).model_copy(update={"architecture": start.architecture})
    return make_config(recipe, data).model_copy(update={"init_from": start.reference})


def start_or_go_on(folder: RunFolder, config: RunConfig) -> None:
    """Train to the end; a run with an extension first trains without it, and then does what `resume --epochs` does."""
    if not folder.config_file.exists():
        folder.create(config.model_copy(update={"extensions": ()}), STARTS.get(config.init_from or ""))
    before = folder.read_config()
    if not before.extensions:
        play(folder, before)
    if config.extensions:
        progress = read_progress(folder.checkpoint_file)
        if not has_ended(config, progress):
            after = extend(before, progress, epochs=config.planned_epochs, minutes=None)
            with FolderWriter(after, folder) as writer:
                writer.extend(describe_extension(before, after, progress))
        play(folder, folder.read_config())


def outcome(folder: RunFolder, config: RunConfig) -> dict[str, object]:
    """Train to the end, and return everything that must not depend on how often the run was killed."""
    code = wait(fork(lambda: start_or_go_on(folder, config)))
    records = [json.loads(line) for line in folder.stats_file.read_text().splitlines()]
    return {
        "exit code": code,
        "grids": grid_bytes(folder),
        "stats": [{**record, "seconds": None} for record in records],
        "events": folder.events_file.read_text() if folder.events_file.exists() else "",
        "state": state(folder.checkpoint_file),
        "best": state(folder.best_file) if folder.best_file.exists() else None,
        "temporary files": sorted(path.name for path in folder.path.rglob("*.tmp")),
    }


def state(path: Path) -> tuple[dict[str, bytes], object]:
    """Return the tensors and the progress of a saved state, without the time that it took."""
    progress = read_progress(path).model_dump(exclude={"seconds": True, "records": {"__all__": {"seconds"}}})
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(path).items()}, progress


def compare(name: str, seen: dict[str, object], wanted: dict[str, object]) -> list[str]:
    return [f"{name}: {what} differ" for what in wanted if seen[what] != wanted[what]]


def die_at_sync(n: int) -> None:
    calls = count(1)

    def fsync(_descriptor: int) -> None:
        if next(calls) == n:
            os._exit(DIED)

    vars(os)["fsync"] = fsync


def wait_for_a_new_state(folder: RunFolder, pid: int) -> None:
    before, deadline = stamp(folder), time.monotonic() + PATIENCE_S
    while stamp(folder) == before and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} neither wrote a new checkpoint nor ended in {PATIENCE_S} s")


def stamp(folder: RunFolder) -> tuple[int, int] | None:
    try:
        status = folder.checkpoint_file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def fork(action: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        action()
    except BaseException:  # noqa: BLE001  (a child must end here whatever happens)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    main()
