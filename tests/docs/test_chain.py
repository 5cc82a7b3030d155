"""README's chain with 1, 2 and 4 threads, in this process: fit, interrupted; resume; export; evaluate; sample.

The recipe is the `mlp` that README names, in all that it switches on; its networks and its data are tiny.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import training.run.loop
from tests.training.support import judge_few_samples, sets
from training.cli.command_line import main
from training.data.mnist import read_mnist, read_mnist_labels

THREADS = (pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(4, marks=pytest.mark.slow))
IMAGES = 400
SMALL = (
    "architecture.generator_widths=[32]",
    "architecture.discriminator_widths=[16]",
    "batch_size=32",
    "metrics_every_epochs=1",
    "judge_steps=5",
)
INTERRUPTED_AT = 15
"""A step of the second epoch."""


@pytest.fixture(params=THREADS)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_the_chain_with_so_many_threads(
    threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    judge_few_samples(monkeypatch)
    (images, _), (labels, _) = read_mnist(), read_mnist_labels()
    np.savez("data.npz", images=images[:IMAGES], labels=labels[:IMAGES])
    fit = ["fit", "mlp", "--data", "data.npz", "--epochs", "2", "--threads", str(threads), *sets(SMALL)]
    with monkeypatch.context() as patch:
        interrupt(patch)
        assert main(fit) == 130
    assert main(["resume", "runs/mlp"]) == 0
    assert main(["export", "runs/mlp", "--to", "models/my-digits"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "models/my-digits", "--data", "data.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frechet"] > 0
    assert main(["sample", "models/my-digits", "--n", "64", "--seed", "7", "-o", "grid.png"]) == 0
    with Image.open("grid.png") as grid:
        assert grid.size == (242, 242)  # 8 images of 28 pixels, and 9 lines of 2 between and around them
    assert len(Path("runs/mlp/stats.jsonl").read_text().splitlines()) == 2


def interrupt(patch: pytest.MonkeyPatch) -> None:
    """Have Ctrl-C come in the middle of training."""
    play_step = training.run.loop.play_step

    def play(game: Any, data: Any, batches: Any, progress: Any) -> None:
        if progress.step == INTERRUPTED_AT:
            raise KeyboardInterrupt
        play_step(game, data, batches, progress)

    patch.setattr(training.run.loop, "play_step", play)
