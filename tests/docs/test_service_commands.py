"""The curl lines of README and docs, and the client's example, as they stand but for the service's address."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_client import Samples
from harness.service import Service, running
from tests.docs.documents import Command, blocks, commands_of
from training.data.mnist import read_mnist

ADDRESS = "http://127.0.0.1:8000"
CURL = [command for block in blocks() for command in commands_of(block) if command.text.startswith("curl ")]
EXAMPLE = "from gan_client import Client"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service that `make serve` starts: on the bundled models, and nothing set."""
    with running(tmp_path_factory.mktemp("service")) as started:
        yield started


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with the pictures that the commands name."""
    _, test = read_mnist()
    Image.fromarray(test[0]).resize((280, 280)).save(tmp_path / "seven.jpg")  # the first test image is a 7
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize("command", CURL, ids=lambda command: command.text)
def test_curl(command: Command, service: Service, here: Path) -> None:
    """The answer is no problem, and is what the name of its file says; without a file it is JSON."""
    assert ADDRESS in command.text
    before = set(here.iterdir())
    line = command.text.replace("curl ", "curl --fail-with-body --silent --show-error ", 1).replace(
        ADDRESS, service.url
    )
    done = subprocess.run(["sh", "-c", line], cwd=here, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    written = set(here.iterdir()) - before
    if not written:
        assert json.loads(done.stdout)
    for path in written:
        if path.suffix == ".npz":
            assert len(np.load(path)["images"]) == 10_000
        else:
            with Image.open(path) as picture:
                assert picture.format == path.suffix[1:].upper()


def test_the_client(service: Service, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = [block for block in blocks() if block.lines[0] == EXAMPLE]
    names: dict[str, object] = {}
    code = "\n".join(example.lines).replace(ADDRESS, service.url)
    exec(compile(code, f"{example.document}:{example.line}", "exec"), names)  # noqa: S102
    first, *parts = capsys.readouterr().out.splitlines()
    assert first.startswith("mnist-conv@")
    assert [int(line.split()[0]) for line in parts] == [0, 1000, 2000]
    samples, again = names["samples"], names["again"]
    assert isinstance(samples, Samples)
    assert isinstance(again, Samples)
    assert np.array_equal(samples.images[:10], again.images)
