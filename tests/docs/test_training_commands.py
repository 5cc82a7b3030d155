"""The commands of README and docs that are run, in their order, by a shell, with the threads that the machine has."""

import re
import signal
from pathlib import Path

import httpx
import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from tests.docs.commands import CHAINS, Step
from tests.docs.documents import blocks
from tests.docs.workplace import Workplace, make_workplace

CLASSES = ("cats", "dogs")
PICTURES_A_CLASS = 150

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """With pictures of two classes in ~/pictures, of a size that is not the recipe's."""
    made = make_workplace(tmp_path)
    rng = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        folder = made.home / "pictures" / name
        folder.mkdir(parents=True)
        for picture in rng.integers(60 * number, 120 * (number + 1), (PICTURES_A_CLASS, 40, 40), dtype=np.uint8):
            Image.fromarray(picture).save(folder / f"{len(list(folder.iterdir()))}.png")
    return made


@pytest.mark.parametrize("name", CHAINS)
def test_as_documented(workplace: Workplace, name: str) -> None:
    for step in CHAINS[name]:
        if step.waits:
            look_and_interrupt(workplace, step)
        else:
            workplace.run(step.line)


def look_and_interrupt(workplace: Workplace, step: Step) -> None:
    """Open the page whose address a command tells, and end the command by Ctrl-C."""
    with workplace.start(step.line) as process:
        try:
            assert process.stdout is not None
            (address,) = re.findall(r"http://[\d.:]+", process.stdout.readline())
            assert httpx.get(address, timeout=60).status_code == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=120) == 0
        finally:
            process.kill()


def test_shards_are_read_as_documented(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("npz", "parquet"):
        workplace.run(f"python -m training sample mnist-mlp --n 20 --seed 7 --out samples-{kind} --format {kind}")
    (block,) = [block for block in blocks() if block.lines[0].startswith("np.load(")]
    monkeypatch.chdir(workplace.folder)
    images = []
    for line, kind in zip(block.lines, ("npz", "parquet"), strict=True):
        names = {"np": np, "pyarrow": pyarrow}
        images.append(eval(line.replace("samples/", f"samples-{kind}/"), names))  # noqa: S307
    assert np.array_equal(*images)
