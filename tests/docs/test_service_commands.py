"""The curl lines and Python programs of README and docs, as they stand but for the service's address."""

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gan_client import Samples
from harness.service import Service
from tests.docs.documents import Block, Command, blocks, commands_of, examples
from tests.services import running

ADDRESS = "http://127.0.0.1:8000"
CURL = list({command.text: command for block in blocks() for command in commands_of(block)}.values())
CURL = [command for command in CURL if command.text.startswith("curl ")]
OF_ANOTHER_TEST = "docs/onnx.md"  # test_onnx_example.py
PROGRAMS = [block for block in examples() if block.language == "python" and block.document != OF_ANOTHER_TEST]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service that `make serve` starts: on the bundled models, and nothing set."""
    with running(tmp_path_factory.mktemp("service")) as started:
        yield started


def photo() -> bytes:
    """A photo of a digit: a stroke in blue ink on paper, darker on one side."""
    page = Image.fromarray(np.tile(np.linspace(150, 220, 1200).astype(np.uint8), (1600, 1))).convert("RGB")
    ImageDraw.Draw(page).line([(400, 450), (850, 450), (600, 1200)], fill=(30, 40, 110), width=70, joint="curve")
    file = io.BytesIO()
    page.save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.fixture
def here(tmp_path: Path, service: Service) -> Path:
    """A folder with the pictures that commands upload: one that an earlier command has written, and a photo."""
    texts = [command.text for command in CURL]
    uploads = [text for text in texts if "=@" in text]
    assert all("=@seven.png " in text or "=@photo.jpg " in text for text in uploads)
    (maker,) = [text for text in texts if "-o seven.png" in text]
    assert texts.index(maker) < min(texts.index(text) for text in uploads)
    (tmp_path / "photo.jpg").write_bytes(photo())
    subprocess.run(["sh", "-c", maker.replace(ADDRESS, service.url)], cwd=tmp_path, capture_output=True, check=True)
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize("command", CURL, ids=lambda command: command.text)
def test_curl(command: Command, service: Service, here: Path) -> None:
    """The answer is no problem, and is what the name of its file says; without a file it is JSON."""
    assert ADDRESS in command.text
    if "-o seven.png" in command.text:
        (here / "seven.png").unlink()
    before = set(here.iterdir())
    line = command.text.replace("curl ", "curl --fail-with-body --silent --show-error ", 1).replace(
        ADDRESS, service.url
    )
    done = subprocess.run(["sh", "-c", line], cwd=here, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    written = set(here.iterdir()) - before
    if not written:
        answer = json.loads(done.stdout)
        assert answer
        assert all(result["found"] for result in answer.get("results", []))
    for path in written:
        if path.suffix == ".npz":
            assert len(np.load(path)["images"]) == 10_000
        elif path.suffix == ".txt":
            assert path.read_text().startswith("# HELP ")
        else:
            with Image.open(path) as picture:
                assert picture.format == path.suffix[1:].upper()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda block: block.document)
def test_program(program: Block, service: Service, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It runs to its end, and what its comments say of its results is so."""
    names: dict[str, object] = {}
    code = "\n".join(program.lines).replace(ADDRESS, service.url)
    exec(compile(code, f"{program.document}:{program.line}", "exec"), names)  # noqa: S102
    first, *parts = capsys.readouterr().out.splitlines()
    assert first.startswith("mnist-conv@")
    drawn, *others = [value for name, value in names.items() if isinstance(value, Samples) and name != "part"]
    assert drawn.images.shape == (10_000, 28, 28)
    for again in others:
        assert np.array_equal(drawn.images[:10], again.images)
    assert [int(line.split()[0]) for line in parts] == ([0, 1000, 2000] if "part" in names else [])


def test_programs_are_found() -> None:
    assert {program.document for program in PROGRAMS} == {"README.md", "docs/api.md"}
