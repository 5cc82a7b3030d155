"""Kills training in forked children, and resumes it until it ends: `python -m tests.training.crash MODE FOLDER`.

A process of its own, because it forks: imports are paid for once, and no other thread runs in it. It prints JSON: how
many kills there were, and every difference from the run that was never stopped.
"""

import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from itertools import count
from pathlib import Path

import torch

import training.loop
from tests.training.support import exported_bytes, grid_bytes, make_config, play, tiny_recipe, write_npz
from training.config import RunConfig
from training.run_folder import RunFolder

DIED = 77
GAMES = {
    "mlp float32": tiny_recipe("mlp", "epochs=8", "d_steps=2", "checkpoint_interval_s=0"),
    "mlp bfloat16": tiny_recipe("mlp", "epochs=8", "precision=bfloat16", "checkpoint_interval_s=0"),
    "goodfellow2014": tiny_recipe("goodfellow2014", "epochs=8", "grid_every_epochs=2", "checkpoint_interval_s=0"),
}


def main() -> None:
    torch.set_num_threads(1)
    mode, root = sys.argv[1], Path(sys.argv[2])
    vars(training.loop)["draw_curves"] = lambda *_args, **_kwargs: b"curves"  # takes long, and is not the point
    vars(os)["fsync"] = lambda _descriptor: None  # a killed process loses nothing that it wrote; a machine would
    data = write_npz(root / "data.npz")
    print(json.dumps(at_every_sync(root, data) if mode == "syncs" else at_random_moments(root, data)))


def at_every_sync(root: Path, data: Path) -> dict[str, object]:
    """Die before the n-th fsync, for every n: between any two files, and between a file and its new name."""
    config = make_config(tiny_recipe("mlp", "epochs=2", "batch_size=18", "checkpoint_interval_s=0"), data)
    wanted = outcome(RunFolder(root / "whole"), config)
    differences: list[str] = []
    for n in count(1):
        folder = RunFolder(root / f"sync-{n}")

        def begin(folder: RunFolder = folder, n: int = n) -> None:
            die_at_sync(n)
            start_or_go_on(folder, config)

        code = wait(fork(begin))
        if code == 0:
            return {"kills": n - 1, "differences": differences}
        if code != DIED:
            differences.append(f"sync {n}: exit code {code}")
        differences += compare(f"sync {n}", outcome(folder, config), wanted)
    raise AssertionError


def at_random_moments(root: Path, data: Path) -> dict[str, object]:
    """SIGKILL, three times a run, after a random number of saved states and a little more."""
    rng = random.Random(2014)
    kills = 0
    differences: list[str] = []
    for name, recipe in GAMES.items():
        config = make_config(recipe, data)
        wanted = outcome(RunFolder(root / f"{name} whole"), config)
        folder = RunFolder(root / name)
        for _ in range(3):
            pid = fork(lambda folder=folder, config=config: start_or_go_on(folder, config))  # type: ignore[misc]
            for _ in range(rng.randint(1, 6)):
                wait_for_a_new_state(folder, pid)
            for _ in range(rng.randrange(300)):  # somewhere inside the next step
                folder.checkpoint_file.exists()
            os.kill(pid, signal.SIGKILL)
            code = wait(pid)
            kills += code == -signal.SIGKILL
            if code not in (0, -signal.SIGKILL):
                differences.append(f"{name}: exit code {code}")
        differences += compare(name, outcome(folder, config), wanted)
    return {"kills": kills, "differences": differences}


def start_or_go_on(folder: RunFolder, config: RunConfig) -> None:
    if not folder.config_file.exists():
        folder.create(config)
    play(folder, folder.read_config())


def outcome(folder: RunFolder, config: RunConfig) -> dict[str, object]:
    """Train to the end, and what came out: all that must not depend on how often the run was killed."""
    code = wait(fork(lambda: start_or_go_on(folder, config)))
    records = [json.loads(line) for line in folder.stats_file.read_text().splitlines()]
    return {
        "exit code": code,
        "grids": grid_bytes(folder),
        "stats": [{**record, "seconds": None} for record in records],
        "model": exported_bytes(folder, config, folder.path.parent / "exported" / "model"),
        "temporary files": sorted(path.name for path in folder.path.rglob("*.tmp")),
    }


def compare(name: str, seen: dict[str, object], wanted: dict[str, object]) -> list[str]:
    return [f"{name}: {what} differ" for what in wanted if seen[what] != wanted[what]]


def die_at_sync(n: int) -> None:
    calls = count(1)

    def fsync(_descriptor: int) -> None:
        if next(calls) == n:
            os._exit(DIED)

    vars(os)["fsync"] = fsync


def wait_for_a_new_state(folder: RunFolder, pid: int) -> None:
    before = stamp(folder)
    while stamp(folder) == before and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        pass


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
