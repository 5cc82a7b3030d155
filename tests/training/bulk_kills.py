"""Kills `sample --out` in forked children, and resumes it until it ends: `python -m tests.training.bulk_kills FOLDER`.

It is a separate process because it forks: imports are done only once, and no other thread runs in it. It prints JSON:
how often it was killed in each way, and every difference from the folder of a command that was never stopped.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from contextlib import redirect_stdout
from itertools import count
from pathlib import Path

import torch

from harness.tiny_models import make_tiny_model_folder
from tests.training.crash import DIED, MAX_TRIES, die_at_sync, fork, wait
from training.cli.command_line import main as command

FORMATS = ("npz", "png")  # a file, a folder; the others are written as npz is
IMAGES, SHARD_IMAGES = 1_500, 150
FEW, FEW_A_SHARD = 2, 1
KILLS = 3


def main() -> None:
    torch.set_num_threads(1)
    vars(os)["fsync"] = lambda _descriptor: None  # a killed process loses nothing that it wrote; a machine would
    root = Path(sys.argv[1])
    model = str(make_tiny_model_folder(root / "tiny", z_dim=8, classes=3))
    result: dict[str, int] = {"syncs": 0, "moments": 0, "within a shard": 0}
    differences: list[str] = []
    rng = random.Random(2014)
    for format_name in FORMATS:
        # Before each fsync of a small request: between any two files, and between a file and its new name.
        small = ["sample", model, "--n", str(FEW), "--shard-images", str(FEW_A_SHARD), "--format", format_name, "--out"]
        differences += at_every_sync(root / f"{format_name}-sync", small, result)
        large = ["sample", model, "--n", str(IMAGES), "--shard-images", str(SHARD_IMAGES), "--format", format_name]
        differences += at_random_moments(root / f"{format_name}-moment", [*large, "--out"], result, rng)
    print(json.dumps({**result, "differences": differences}))


def at_every_sync(root: Path, arguments: list[str], result: dict[str, int]) -> list[str]:
    wanted = finish(root / "whole", arguments)
    differences: list[str] = []
    for n in count(1):
        folder = root / f"sync-{n}"

        def begin(folder: Path = folder, n: int = n) -> None:
            die_at_sync(n)
            sample(folder, arguments)

        code = wait(fork(begin))
        if code == 0:
            return differences
        result["syncs"] += code == DIED
        differences += not_whole(folder, contents(folder), wanted)
        if finish(folder, arguments) != wanted:
            differences.append(str(folder))
    raise AssertionError


def at_random_moments(root: Path, arguments: list[str], result: dict[str, int], rng: random.Random) -> list[str]:
    wanted = finish(root / "whole", arguments)
    folder, differences, left = root / "killed", [], KILLS
    folder.mkdir()
    for _ in range(MAX_TRIES):
        if not left:
            break
        shards = shard_count(folder) + rng.randint(1, 3)
        pid = fork(lambda: sample(folder, arguments))
        while shard_count(folder) < shards and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.01))  # somewhere inside the next shard
        os.kill(pid, signal.SIGKILL)
        killed = wait(pid) == -signal.SIGKILL
        result["moments"] += killed
        left -= killed
        there = contents(folder)
        result["within a shard"] += any(".tmp" in name for name in there)
        differences += not_whole(folder, there, wanted)
        if not killed:  # on a busy machine a command may end before its killer wakes: it begins once more
            shutil.rmtree(folder)
            folder.mkdir()
    if finish(folder, arguments) != wanted:
        differences.append(str(folder))
    return differences


def shard_count(folder: Path) -> int:
    return sum(entry.name.startswith("shard-") for entry in folder.iterdir())


def not_whole(folder: Path, there: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    return [f"{folder}/{name}: not whole" for name in there if name in wanted and there[name] != wanted[name]]


def finish(folder: Path, arguments: list[str]) -> dict[str, bytes]:
    sample(folder, arguments)
    return contents(folder)


def sample(folder: Path, arguments: list[str]) -> None:
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        if code := command([*arguments, str(folder)]):
            raise RuntimeError(f"{arguments} exited with {code}")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    main()
