"""The client's package is small and does not include the service."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ALONE = tomllib.loads((ROOT / "gan_client" / "pyproject.toml").read_text())["project"]
WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_its_requirements_are_those_of_the_project() -> None:
    """The client wants the same lowest versions as the project does, wherever both name a package."""
    extras = WHOLE["optional-dependencies"]
    everywhere = {*WHOLE["dependencies"], *extras["training"], *extras["test"]}
    assert set(ALONE["dependencies"]) <= everywhere
    assert ALONE["requires-python"] == WHOLE["requires-python"]


def test_it_imports_what_it_declares() -> None:
    """Besides them only the standard library is imported."""
    imported = set()
    for path in (ROOT / "gan_client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    declared = {
        "PIL" if name == "pillow" else name for name in (re.split(r"\W", one)[0] for one in ALONE["dependencies"])
    }
    assert imported - set(sys.stdlib_module_names) == declared | {"gan_client"}


def test_its_wheel_has_all_of_it_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "gan_client"
    source.mkdir()
    files = [
        *(ROOT / "gan_client").glob("*.py"),
        ROOT / "gan_client" / "pyproject.toml",
        ROOT / "gan_client" / "py.typed",
        ROOT / "gan_client" / "LICENSE",
    ]
    for path in files:  # a copy, because setuptools writes beside the sources
        (source / path.name).write_bytes(path.read_bytes())
    command = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", command, tmp_path], cwd=source, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(tmp_path / built.stdout.splitlines()[-1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == {f"gan_client/{path.name}" for path in files if path.suffix in {".py", ".typed"}}


def test_it_can_be_imported_without_the_service(tmp_path: Path) -> None:
    (tmp_path / "gan_client").symlink_to(ROOT / "gan_client")
    command = (
        "import sys, gan_client;"
        "print([name for name in ('app', 'models', 'training', 'torch', 'pydantic', 'fastapi') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert told.strip() == "[]"
