"""Commands in an environment without some packages: a real interpreter that cannot import them."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import pytest

from harness.tiny_models import make_tiny_model_folder
from tests.training.support import ROOT, command_line, environment, make_config, tiny_recipe, write_npz
from training.cli.command_line import main
from training.cli.missing_packages import EXTRAS, ONNX_EXTRA, PACKAGES, explain_missing_package
from training.run.folder import RunFolder

TRAINING = ("PIL", "matplotlib", "tensorboard", "torchmetrics", "tqdm")
"""The packages of the extra `training`, by the names under which they are imported."""

HIDING = """
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {hidden} else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
"""


Lacking = Callable[..., "subprocess.CompletedProcess[str]"]


def without(hidden: Iterable[str], folder: Path) -> dict[str, str]:
    """Return an environment in which an interpreter, and every one that it starts, finds none of these modules."""
    (folder / "sitecustomize.py").write_text(HIDING.format(hidden=set(hidden)))
    return environment() | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


@pytest.fixture
def lacking(tmp_path: Path) -> Lacking:
    """Run Python with arguments in the empty folder `tmp_path / "here"`, without the modules in the first argument."""
    site, here = tmp_path / "site", tmp_path / "here"
    site.mkdir()
    here.mkdir()

    def run(hidden: Iterable[str], *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(
            command, cwd=here, env=without(hidden, site), capture_output=True, text=True, timeout=120, check=False
        )

    return run


def needs(command: str, package: str) -> str:
    extra = " of the extra `onnx`" if package in ONNX_EXTRA else ""
    return (
        f"error: {command} needs the package {package}{extra}, which {sys.executable} does not have: `make train-env` "
        "installs all that training needs into .venv; then run .venv/bin/python -m training …\n"
    )


def test_the_packages_are_those_of_the_training_environment():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert [requirement.partition(">=")[0] for requirement in extras["onnx"]] == list(ONNX_EXTRA)
    wanted = [*project["dependencies"], *extras["training"], *extras["onnx"]]
    assert sorted(PACKAGES.values()) == sorted(requirement.partition(">=")[0] for requirement in wanted)
    assert set(TRAINING) <= set(PACKAGES)


def test_a_command_says_what_it_lacks(lacking: Lacking, tmp_path: Path):
    done = lacking(TRAINING, "-m", "training", "fit", "mlp")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr in [needs("fit", PACKAGES[name]) for name in TRAINING]
    assert list((tmp_path / "here").iterdir()) == []


def test_python_without_any_environment_is_told_so(lacking: Lacking):
    """A person who forgets `.venv/bin/` runs a Python that does not have torch either."""
    for command in (["fit", "mlp"], ["--help"]):
        done = lacking(PACKAGES, "-m", "training", *command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr in [needs("training", package) for package in PACKAGES.values()]


SEVERAL = """
import contextlib, io, json, sys
from training.cli.command_line import main

def call(command):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = main(command)
        except SystemExit as stopped:
            code = stopped.code
    return code, out.getvalue(), err.getvalue()

print(json.dumps([call(command) for command in json.loads(sys.argv[1])]))
"""
"""Runs several commands in one process, because a process spends its first second on importing torch."""


@pytest.mark.parametrize(
    ("hidden", "lines"),
    [
        (
            TRAINING,
            [
                "fit mlp --dry-run",
                "resume runs/mlp",
                "evaluate mnist-mlp",
                "export runs/mlp --to m",
                "judge mnist-mlp --to m",
                "sample mnist-mlp -o grid.png",
                "sample mnist-mlp --out shards",
            ],
        ),
        (
            ["matplotlib"],
            ["fit mlp", "resume runs/mlp", "evaluate mnist-mlp", "export runs/mlp --to m", "judge mnist-mlp --to m"],
        ),
        (
            ["PIL"],
            [
                "fit mlp",
                "evaluate mnist-mlp",
                "judge mnist-mlp --to m",
                "sample mnist-mlp -o grid.png",
                "sample mnist-mlp --out shards",
            ],
        ),
        (["tensorboard"], ["fit mlp", "resume runs/mlp"]),
        (
            ["torchmetrics"],
            ["fit mlp", "resume runs/mlp", "evaluate mnist-mlp", "export runs/mlp --to m", "judge mnist-mlp --to m"],
        ),
        (["onnx"], ["onnx mnist-mlp --to m.onnx", "export runs/mlp --to m --onnx"]),
        (["onnxruntime"], ["onnx mnist-mlp --to m.onnx", "export runs/mlp --to m --onnx"]),
        (["onnxscript"], ["onnx mnist-mlp --to m.onnx", "export runs/mlp --to m --onnx"]),
        (["tqdm"], ["fit mlp", "resume runs/mlp", "sample mnist-mlp --out shards"]),
    ],
    ids=[
        "training",
        "matplotlib",
        "pillow",
        "tensorboard",
        "torchmetrics",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "tqdm",
    ],
)
def test_every_command_says_what_it_lacks(lacking: Lacking, tmp_path: Path, hidden: list[str], lines: list[str]):
    """Exit code 2, one line, and nothing is written."""
    done = lacking(hidden, "-c", SEVERAL, json.dumps([line.split() for line in lines]))
    assert (done.returncode, done.stderr) == (0, "")
    for line, (code, out, err) in zip(lines, json.loads(done.stdout), strict=True):
        assert (line, code, out) == (line, 2, "")
        assert err in [needs(line.split()[0], PACKAGES[name]) for name in hidden]
    assert list((tmp_path / "here").iterdir()) == []


def test_help_and_usage_errors_need_none_of_them(lacking: Lacking):
    commands = ["", "fit", "resume", "watch", "evaluate", "sample", "export", "judge", "onnx", "classifier"]
    helps = [[*command.split(), "--help"] for command in commands]
    done = lacking(TRAINING, "-c", SEVERAL, json.dumps([*helps, ["fit", "mlp", "--threads", "0"]]))
    assert (done.returncode, done.stderr) == (0, "")
    *told, (usage_code, _, usage) = json.loads(done.stdout)
    for command, (code, out, err) in zip(commands, told, strict=True):
        assert (command, code, err) == (command, 0, "")
        assert f"usage: python -m training {command}".strip() in out
    assert usage_code == 2
    assert "argument --threads: must be at least 1, not 0" in usage


def test_a_grid_needs_pillow_alone(lacking: Lacking, tmp_path: Path):
    command = ["sample", str(make_tiny_model_folder(tmp_path / "tiny")), "--n", "4", "-o"]
    done = lacking(set(TRAINING) - {"PIL"}, "-m", "training", *command, "grid.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert main([*command, str(tmp_path / "same.png")]) == 0
    assert (tmp_path / "here" / "grid.png").read_bytes() == (tmp_path / "same.png").read_bytes()


@pytest.mark.slow
def test_shards_need_pillow_and_tqdm(lacking: Lacking, tmp_path: Path):
    """The processes that write the shards need no other package either."""
    command = ["sample", str(make_tiny_model_folder(tmp_path / "tiny")), "--n", "8", "--shard-images", "4", "--out"]
    done = lacking(set(TRAINING) - {"PIL", "tqdm"}, "-m", "training", *command, "shards", "--processes", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert main([*command, str(tmp_path / "same")]) == 0
    for name in ("shard-000000.npz", "shard-000001.npz"):
        assert (tmp_path / "here" / "shards" / name).read_bytes() == (tmp_path / "same" / name).read_bytes()


def test_watch_needs_none_of_them(tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    folder.create(make_config(tiny_recipe("mlp"), write_npz(tmp_path / "data.npz")))
    command = command_line("watch", folder.path, "--port", "0")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=without(TRAINING, tmp_path), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            address = next(word for word in process.stdout.readline().split() if word.startswith("http://"))
            assert httpx.get(f"{address}/run.json", timeout=60).status_code == 200
        finally:
            process.kill()  # not Ctrl-C, which a process started in the background ignores
        assert process.communicate()[1] == ""


FEW_DIGITS = """
import sys
from training.data import mnist
(train, test), (train_labels, test_labels) = mnist.read_mnist(), mnist.read_mnist_labels()
mnist.read_mnist = lambda: (train[:200], test[:50])
mnist.read_mnist_labels = lambda: (train_labels[:200], test_labels[:50])
from training.cli.command_line import main
sys.exit(main(["classifier", "--epochs", "1", "--threads", "1", "--to", "judge.safetensors"]))
"""


@pytest.mark.slow
def test_the_classifier_needs_none_of_them(lacking: Lacking, tmp_path: Path):
    done = lacking(TRAINING, "-c", FEW_DIGITS)
    assert (done.returncode, done.stderr) == (0, "")
    assert "accuracy on the test images: " in done.stdout
    assert (tmp_path / "here" / "judge.safetensors").is_file()


def test_a_package_that_only_some_data_need_names_its_extra(tmp_path: Path, lacking: Lacking):
    (tmp_path / "here" / "a.parquet").write_bytes(b"PAR1")
    done = lacking(["pyarrow"], "-m", "training", "fit", "mlp", "--data", "a.parquet")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: these data need the package pyarrow, which {sys.executable} does not have: install the extra "
        "'parquet', with `pip install '.[parquet]'` in the repository\n"
    )
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for package, extra in EXTRAS.items():
        assert [requirement.partition(">=")[0] for requirement in extras[extra]] == [package]


def test_a_module_of_our_own_that_is_missing_is_a_fault_and_no_message(monkeypatch: pytest.MonkeyPatch):
    assert (
        explain_missing_package(ModuleNotFoundError("No module named 'training.x'", name="training.x"), "fit") is None
    )
    assert explain_missing_package(ModuleNotFoundError("by hand"), "fit") is None
    monkeypatch.setitem(sys.modules, "training.run.watch", None)
    with pytest.raises(ModuleNotFoundError, match=r"training\.run\.watch"):
        main(["watch", "nowhere"])
