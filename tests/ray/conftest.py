"""The service on a local Ray with two replicas; without the extra `ray` there is nothing to test here."""

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from harness.pinned_services import free_port, wait_until_ready
from harness.process_tree import tree_of, wait_until_ended
from harness.repository import ROOT
from harness.service import Service, environment
from harness.service_specs import RAY_INGRESSES
from tests.app.conftest import models_dir  # noqa: F401  (a fixture)

if find_spec("ray") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydantic, about how Ray uses it
        import ray.serve  # noqa: F401

REPLICAS = 2
ADMIN_KEY = "the-admin"


@contextmanager
def running_on_ray(folder: Path, ingress: str, **settings: object) -> Iterator[Service]:
    """Start `harness.ray_service` on a free port and wait until it is ready; on leaving, all of it has ended.

    Args:
        folder: where it logs.
        ingress: one of `RAY_INGRESSES`.
        settings: GAN_* settings, in lower case.
    """
    port = free_port()
    log = folder / "service.log"
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as scratch, log.open("w") as output:
        surroundings = {name: value.format(scratch=scratch) for name, value in RAY_INGRESSES[ingress].items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.ray_service", str(port), scratch, f"--replicas={REPLICAS}"],
            env=environment(**settings) | surroundings | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(process, f"{url}/readyz")
            with httpx.Client(base_url=url, timeout=60) as client:
                yield Service(process, url, client, log)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; the log says: {log.read_text()}") from error
        finally:
            members = tree_of(process.pid)
            process.terminate()
            process.wait(timeout=60)
            wait_until_ended(members)


@pytest.fixture(scope="session", params=RAY_INGRESSES)
def service(
    request: pytest.FixtureRequest,
    models_dir: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("ray")
    with running_on_ray(folder, request.param, models_dir=models_dir, admin_key=ADMIN_KEY) as started:
        yield started


@pytest.fixture(scope="session")
def client(service: Service) -> httpx.Client:
    return service.client
