"""Linters find nothing in the OpenAPI document, and generated clients in Python and TypeScript call every operation."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.repository import ROOT
from harness.service import Service, running
from tests.app.checks import png_bytes
from training.data.mnist import read_mnist

HERE = Path(__file__).parent
TOOLS = ROOT / ".venv-openapi" / "bin"
NODE_TOOLS = HERE / "node_modules" / ".bin"
DOCUMENT = ROOT / "docs" / "openapi.json"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".venv-openapi" / ".openapi").exists(), reason="`make test-openapi` has the tools"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), log_level="error") as service:
        yield service


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upload") / "seven.png"
    path.write_bytes(png_bytes(read_mnist()[1][0]))
    return path


def run(*command: object, **environment: str) -> str:
    """Run a tool, which must succeed, and return what it prints."""
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=HERE,
        env=os.environ | quiet | environment | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def operation_ids() -> list[str]:
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return sorted(of["operationId"] for path in document["paths"].values() for of in path.values())


def test_redocly_finds_nothing() -> None:
    found = json.loads(run(NODE_TOOLS / "redocly", "lint", DOCUMENT, "--config=redocly.yaml", "--format=json"))
    assert found["problems"] == []


def test_spectral_finds_nothing() -> None:
    run(NODE_TOOLS / "spectral", "lint", DOCUMENT, "--ruleset=spectral.yaml", "--fail-severity=hint")


def test_openapi_generator_finds_nothing() -> None:
    told = run(TOOLS / "openapi-generator-cli", "validate", "--recommend", "--input-spec", DOCUMENT)
    assert "No validation issues detected" in told


def test_a_python_client_calls_every_operation(service: Service, seven: Path, tmp_path: Path) -> None:
    run(
        TOOLS / "openapi-python-client",
        *("generate", "--path", DOCUMENT, "--output-path", tmp_path / "generated_client"),
        *("--meta", "none", "--config", "python-client.yaml", "--fail-on-warning"),
    )
    called = run(TOOLS / "python", "calls.py", service.url, seven, PYTHONPATH=str(tmp_path))
    assert sorted(called.split()) == operation_ids()


def test_a_typescript_client_calls_every_operation(service: Service, seven: Path) -> None:
    # Otherwise each field with a default would have to be sent.
    generate = (NODE_TOOLS / "openapi-typescript", DOCUMENT, "--default-non-nullable=false")
    run(*generate, "--output", "generated/schema.d.ts")
    run(NODE_TOOLS / "tsc", "--project", "tsconfig.json")
    called = run(TOOLS / "node", "calls.ts", service.url, seven)
    assert sorted(called.split()) == operation_ids()
