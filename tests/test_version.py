"""One version, read from outside: the API, `/metrics`, both commands, both packages, the image and the manifests."""

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

import pytest
import torch
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.command_line import main
from harness.repository import ROOT
from harness.service import Service
from harness.tiny_models import make_tiny_model_folder
from models import __version__
from tests.services import running
from tests.test_container import last_stage

METADATA = (
    "import sys; from setuptools import build_meta; print(build_meta.prepare_metadata_for_build_wheel(sys.argv[1]))"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    make_tiny_model_folder(folder / "models" / "mnist-conv")
    with running(folder, models_dir=folder / "models") as started:
        yield started


def built_version(source: Path, *files: str, scratch: Path) -> str:
    """The version in the metadata that setuptools builds from these files of a project, without a network."""
    project = scratch / "project"
    for name in files:  # a copy: setuptools writes beside the sources
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, project / name)
    built = subprocess.run(
        [sys.executable, "-c", METADATA, scratch], cwd=project, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    text = (scratch / built.stdout.splitlines()[-1] / "METADATA").read_text(encoding="utf-8")
    return str(message_from_string(text)["Version"])


def test_it_is_a_version_of_semver() -> None:
    assert re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", __version__)


def test_of_the_api(service: Service) -> None:
    assert service.client.get("/openapi.json").json()["info"]["version"] == __version__


def test_of_the_metrics(service: Service) -> None:
    """`tests/app/server/test_supervisor.py` asks the same of several workers."""
    assert_build_info(service.client.get("/metrics").text)


def assert_build_info(metrics: str) -> None:
    """Check that the text of `/metrics` tells the versions once."""
    families = {family.name: family for family in text_string_to_metric_families(metrics)}
    (sample,) = families["gan_build_info"].samples
    assert sample.labels == {
        "version": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }
    assert sample.value == 1


@pytest.mark.parametrize("package", ["app", "training"])
def test_of_the_commands(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", package, "--version"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"gan-service {__version__}\n", "")


def test_the_service_takes_no_other_argument(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code in ((["--port", "9000"], 2), (["--help"], 0)):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == code
    said = capsys.readouterr()
    assert "unrecognized arguments: --port 9000" in said.err
    assert "usage: python -m app " in said.out
    assert "GAN_*" in said.out


def test_of_the_package(tmp_path: Path) -> None:
    licences = sorted((ROOT / "LICENSES").iterdir()) + sorted((ROOT / "app" / "static").glob("*/*LICENSE*"))
    files = ["pyproject.toml", "README.md", "LICENSE", "NOTICE", "app/static/swagger-ui/NOTICE", "models/__init__.py"]
    files += [str(path.relative_to(ROOT)) for path in licences]
    assert built_version(ROOT, *files, scratch=tmp_path) == __version__


def test_of_the_client(tmp_path: Path) -> None:
    files = ("pyproject.toml", "LICENSE", "__init__.py")
    assert built_version(ROOT / "gan_client", *files, scratch=tmp_path) == __version__


def test_of_the_image() -> None:
    (labels,) = [value for name, value in last_stage() if name == "LABEL"]
    assert f'org.opencontainers.image.version="{__version__}"' in labels


@pytest.mark.parametrize(("overlay", "tag"), [("production", __version__), ("gpu", f"{__version__}-cuda")])
def test_of_the_manifests(overlay: str, tag: str) -> None:
    path = ROOT / "deploy" / "kubernetes" / "overlays" / overlay / "kustomization.yaml"
    (image,) = yaml.safe_load(path.read_text(encoding="utf-8"))["images"]
    assert image["newTag"] == tag


def test_the_newest_release_of_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(__version__)} - \d{{4}}-\d\d-\d\d", headings[1])
