"""The wheels of the service and of the client: built from the committed files, installed beside each other, and used.

They are installed into a fresh environment without their dependencies, which this interpreter's packages provide.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from harness.repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
DATA = "training/data/mnist-idx/"


def committed(*folders: str) -> list[str]:
    """The committed files, as paths from the root of the repository."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders],
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def build(project: Path, to: Path) -> Path:
    built = subprocess.run([sys.executable, "-c", BUILD, to], cwd=project, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return to / built.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packed, because setuptools writes beside the sources. It also holds an exported model."""
    copy = tmp_path_factory.mktemp("source")
    for name in committed("app", "gan_client", "models", "training", "viewer", "LICENSES", *map(str, ROOT.glob("*.*"))):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    for name in ("LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, copy / name)
    shutil.copytree(copy / "models" / "bundled" / "mnist-mlp", copy / "models" / "bundled" / "my-digits")
    return copy


@pytest.fixture(scope="module")
def wheels(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each distribution."""
    to = tmp_path_factory.mktemp("wheels")
    (source / "gan_service.egg-info").mkdir()  # as an earlier build leaves it, with the exported model in its list
    (source / "gan_service.egg-info" / "SOURCES.txt").write_text("models/bundled/my-digits/model.safetensors\n")
    return {"gan-service": build(source, to), "gan-client": build(source / "gan_client", to)}


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return {name for name in opened.namelist() if not name.endswith("/")}


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(opened.read(name))


@pytest.fixture(scope="module")
def environment(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fresh environment's programs, with both wheels in it."""
    root = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    python = root / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    for wheel in wheels.values():
        done = subprocess.run(
            [*pip, "install", "--no-index", "--no-deps", wheel], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(root), "platbase": str(root)}))
    # Only the packages: `.pth` files there, such as that of an editable installation, are not read.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return root / "bin"


@pytest.fixture
def shadows(tmp_path: Path) -> Path:
    """A working directory whose files have the names of our packages, and end the process that imports them."""
    here = tmp_path / "here"
    for name in ("app", "training", "models", "gan_client"):
        (here / name).mkdir(parents=True)
        (here / name / "__init__.py").write_text(f"raise SystemExit('{name} of the working directory')")
    (here / "viewer.py").write_text("raise SystemExit('viewer of the working directory')")
    return here


def run(*command: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONSAFEPATH"}}
    return subprocess.run(
        command, cwd=cwd, env=variables | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )


# --- What is in pyproject.toml -----------------------------------------------------------------------


def test_the_packed_models_are_the_committed_ones() -> None:
    folders = {Path(name).parts[2] for name in committed("models/bundled") if len(Path(name).parts) > 3}
    packed = {Path(pattern).parts[1] for pattern in PROJECT["tool"]["setuptools"]["package-data"]["models"]}
    tracked = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "models/bundled"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert packed == {Path(name).parts[2] for name in tracked}
    assert packed <= folders


def test_every_part_of_the_licence_is_explained() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for licence in PROJECT["project"]["license"].split(" AND "):
        assert licence.replace("CC-BY-SA-3.0", "CC BY-SA 3.0") in notice
    for path in re.findall(r"(?:app|training|LICENSES)/[\w./-]*[\w/]", notice):
        assert (ROOT / path).exists(), path


# --- What is in the wheels ----------------------------------------------------------------------------


@pytest.mark.slow
def test_no_file_belongs_to_both_wheels(wheels: dict[str, Path]) -> None:
    service, client = (names_in(wheel) for wheel in wheels.values())
    assert service & client == set()
    assert {name.partition("/")[0] for name in client if ".dist-info/" not in name} == {"gan_client"}
    packages = {"app", "models", "training", "viewer"}
    assert {name.partition("/")[0] for name in service if ".dist-info/" not in name} == packages


@pytest.mark.slow
def test_the_wheel_has_every_committed_file_and_no_other(wheels: dict[str, Path]) -> None:
    """A model that somebody has exported into models/bundled is not packed."""
    packed = {name for name in names_in(wheels["gan-service"]) if ".dist-info/" not in name}
    wanted = {name for name in committed("app", "models", "training", "viewer") if "/bundled/my-" not in name}
    assert packed - wanted == set()
    assert {name for name in wanted - packed if not name.endswith("README.md")} == set()


@pytest.mark.slow
def test_the_wheel_says_under_which_licences_it_is_and_holds_them(wheels: dict[str, Path]) -> None:
    told, names = metadata_of(wheels["gan-service"]), names_in(wheels["gan-service"])
    assert told["License-Expression"] == "MIT AND Apache-2.0 AND BSD-3-Clause AND CC-BY-SA-3.0"
    assert any(name.startswith(DATA) for name in names)  # MNIST: CC-BY-SA-3.0
    assert "app/static/swagger-ui/swagger-ui-bundle.js" in names  # Apache-2.0, with a part that is BSD-3-Clause
    files = told.get_all("License-File", [])
    assert {"LICENSE", "NOTICE", "LICENSES/CC-BY-SA-3.0.txt", "app/static/swagger-ui/LICENSE"} <= set(files)
    for file in files:
        assert any(name.endswith(f".dist-info/licenses/{file}") for name in names), file
    assert told.get_all("Project-URL") is None
    assert not [each for each in told.get_all("Classifier", []) if each.startswith("License")]
    assert metadata_of(wheels["gan-client"])["License-Expression"] == "MIT"


# --- The installed programs ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("program", ["gan-serve", "gan-train"])
def test_a_console_script_imports_nothing_from_the_working_directory(
    environment: Path, shadows: Path, program: str
) -> None:
    done = run(environment / program, "--version", cwd=shadows)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"gan-service \d+\.\d+\.\d+\n", done.stdout)
    told = run(environment / program, "--help", cwd=shadows)
    assert told.stdout.startswith(f"usage: {program} ")
    module = {"gan-serve": "app", "gan-train": "training"}[program]
    shadowed = run(environment / "python", "-m", module, "--version", cwd=shadows)
    assert "of the working directory" in shadowed.stderr  # as docs/operations.md says


@pytest.mark.slow
def test_other_processes_of_a_console_script_do_not_look_there_either(environment: Path, shadows: Path) -> None:
    done = run(
        *(environment / "gan-train", "sample", "mnist-mlp", "--n", "20", "--out", "shards", "--shard-images", "10"),
        *("--processes", "2"),
        cwd=shadows,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((shadows / "shards").glob("*.npz"))) == 2


@pytest.mark.slow
def test_a_wheel_can_be_removed_without_breaking_the_other(
    environment: Path, wheels: dict[str, Path], tmp_path: Path
) -> None:
    python = environment / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    for name, module, other in (("gan-service", "models", "gan_client"), ("gan-client", "gan_client", "models")):
        subprocess.run([*pip, "uninstall", "--yes", name], capture_output=True, check=True)
        script = f"import importlib.util as u, json; print(json.dumps([bool(u.find_spec({module!r})), 0]))"
        assert json.loads(run(python, "-c", script, cwd=tmp_path).stdout)[0] is False
        assert run(python, "-c", f"import {other}", cwd=tmp_path).returncode == 0
        subprocess.run([*pip, "install", "--no-index", "--no-deps", wheels[name]], capture_output=True, check=True)
