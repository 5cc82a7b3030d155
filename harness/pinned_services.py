"""The services that are measured: what starts them, on their core, and what to ask them for."""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.cores import SERVER_CORE, can_pin, pinned
from harness.process_tree import check_core, family, see_off
from models import bundled_models_dir

ROOT = Path(__file__).parent.parent
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60
PLAIN, HELLO = "plain FastAPI, eager G, Pillow", "FastAPI's hello"


_RAY = {"HOME": "{scratch}", "RAY_USAGE_STATS_ENABLED": "0"}  # it keeps a token at home
RAY_INGRESSES = {
    "Serve's proxy": _RAY,
    "HAProxy": _RAY
    | {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_LOG_TO_STDERR": "1",  # or our log would go to Serve's files
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",  # no load balancer has to be told of the end
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "{scratch}/haproxy/haproxy.cfg",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "{scratch}/haproxy",
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "{scratch}/haproxy/server-state",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": "{scratch}/haproxy/admin.sock",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "{scratch}/haproxy/metrics.sock",
    },
}
"""What takes requests in for Ray Serve, and the environment that has it so, {scratch} an empty folder.

Serve's proxy hands each request to a replica through Ray; HAProxy goes to the replica's own uvicorn.
"""


@dataclass(frozen=True)
class Request:
    """A kind of request. SEED, in the target and in the body, stands for a number of its own in each."""

    target: str
    method: str = "GET"
    body: str = ""


@dataclass(frozen=True)
class Contender:
    """A service.

    Attributes:
        name: what the tables call it.
        command: starts it; {port} and {scratch}, an empty folder, are filled in, here and in the environment.
        environment: variables beside our own.
        ready_path: a GET that gives 200 once it serves.
        one: a request for one image.
        grid: a request for a grid of 64.
    """

    name: str
    command: list[str]
    ready_path: str
    one: Request
    grid: Request
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """A service that is ready: its port, its first process, and how long it took to start, in s."""

    port: int
    pid: int
    start_s: float


def ours(models_dir: Path, model: str) -> Contender:
    """`python -m app`."""
    return Contender(
        "ours",
        [sys.executable, "-m", "app"],
        "/readyz",
        Request("/v1/samples?n=1&format=png&seed=SEED"),
        Request("/v1/samples?n=64&padding=0&format=png&seed=SEED"),
        {
            "GAN_PORT": "{port}",
            "GAN_MODELS_DIR": str(models_dir),
            "GAN_DEFAULT_MODEL": model,
            "GAN_LOG_LEVEL": "warning",
        },
    )


def on_ray(models_dir: Path, model: str, *, ingress: str, replicas: int = 1, batching: str = "engine") -> Contender:
    """`harness.ray_service`, behind one of Serve's `RAY_INGRESSES`; needs the extra `ray`."""
    alone = ours(models_dir, model)
    options = [f"--replicas={replicas}", f"--batching={batching}"]
    return replace(
        alone,
        name=f"Ray Serve, {ingress}, {batching}",
        command=[sys.executable, "-m", "harness.ray_service", "{port}", "{scratch}", *options],
        environment=alone.environment | RAY_INGRESSES[ingress] | {"PYTHONPATH": str(ROOT)},
    )


def plain(models_dir: Path, model: str) -> Contender:
    """`benchmarks.services.plain_service`."""
    return Contender(
        PLAIN,
        [*_uvicorn(), "benchmarks.services.plain_service:app"],
        "/samples?n=1",
        Request("/samples?n=1&seed=SEED"),
        Request("/samples?n=64&seed=SEED"),
        {"PLAIN_MODEL": str(models_dir / model)},
    )


def hello() -> Contender:
    """`benchmarks.services.hello_service`."""
    return Contender(
        HELLO,
        [*_uvicorn(), "benchmarks.services.hello_service:app"],
        "/hello",
        Request("/hello?n=1&seed=SEED"),
        Request("/hello?n=64&seed=SEED"),
    )


def bare(*, one: int, grid: int) -> Contender:
    """`benchmarks.services.bare_service`, answering with so many bytes."""
    return Contender(
        "bare ASGI",
        [*_uvicorn(), "benchmarks.services.bare_service:app"],
        "/1",
        Request(f"/{one}?seed=SEED"),
        Request(f"/{grid}?seed=SEED"),
    )


def rivals(python: Path, models_dir: Path, model: str) -> list[Contender]:
    """`benchmarks.rivals`: other model servers, run by the python of their environment."""
    run = [str(python), "-m"]
    bento = "benchmarks.rivals.bentoml_service:Pictures"
    shared = {"PLAIN_MODEL": str((models_dir / model).resolve()), "PYTHONPATH": str(ROOT), "HOME": "{scratch}"}
    return [
        Contender(
            f"LitServe {_pin('litserve')}",
            [*run, "benchmarks.rivals.litserve_service", "{port}"],
            "/health",
            one=Request("/samples?n=1&seed=SEED", "POST"),
            grid=Request("/samples?n=64&seed=SEED", "POST"),
            environment=shared,
        ),
        Contender(
            f"BentoML {_pin('bentoml')}",
            [*run, "bentoml", "serve", bento, "--host=127.0.0.1", "--port={port}"],
            "/readyz",
            one=Request("/samples", "POST", '[{"n": 1, "seed": SEED}]'),
            grid=Request("/samples", "POST", '[{"n": 64, "seed": SEED}]'),
            environment=shared | {"BENTOML_DO_NOT_TRACK": "true"},
        ),
        Contender(
            f"Ray Serve {_pin('ray')}",
            [*run, "benchmarks.rivals.ray_service", "{port}", "{scratch}"],
            "/samples?n=1&seed=0",
            one=Request("/samples?n=1&seed=SEED"),
            grid=Request("/samples?n=64&seed=SEED"),
            environment=shared
            | {
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
                "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",  # no load balancer has to be told of the end
            },
        ),
    ]


@contextmanager
def started(service: Contender) -> Iterator[Running]:
    """Run a service on a free port and on its core; on leaving, it and all that it started have ended."""
    with tempfile.TemporaryDirectory(prefix="gan-", ignore_cleanup_errors=True) as scratch:
        port = free_port()
        command = [part.format(port=port, scratch=scratch) for part in service.command]
        settings = {name: value.format(port=port, scratch=scratch) for name, value in service.environment.items()}
        began = time.perf_counter()
        process = subprocess.Popen(
            [*pinned(SERVER_CORE), *command],
            env=os.environ | {"OMP_NUM_THREADS": "1"} | settings,
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}{service.ready_path}")
            start_s = time.perf_counter() - began
            if can_pin():
                check_core(process.pid, SERVER_CORE)
            yield Running(port, process.pid, start_s)
        finally:
            members = family(process.pid)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_TIMEOUT_S)
            see_off(members)
            process.kill()  # where there is no /proc
            process.wait()


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The options that all measurements of services share."""
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--models-dir", type=Path, default=bundled_models_dir(), help="default: the bundled models")
    parser.add_argument("--model", default="mnist-mlp", help="default: mnist-mlp")


def add_load_options(parser: argparse.ArgumentParser, *, seconds: int) -> None:
    """Likewise, where they are put under load."""
    add_model_options(parser)
    parser.add_argument("--seconds", type=int, default=seconds, help=f"of each measurement (default: {seconds})")
    parser.add_argument("--connections", type=int, default=16, help="clients at once (default: 16)")


def _uvicorn() -> list[str]:
    return [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port", "{port}"]


def _pin(package: str) -> str:
    """The version of a package in the rivals' environment."""
    pins = (ROOT / "benchmarks/rivals/requirements.txt").read_text(encoding="utf-8").splitlines()
    return next(pin.partition("==")[2] for pin in pins if pin.partition("==")[0] == package)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until_ready(process: "subprocess.Popen[Any]", url: str) -> None:
    """Ask until there is a 200.

    Raises:
        RuntimeError: the process has ended, or there was none in time.
    """
    began = time.perf_counter()
    while time.perf_counter() - began < START_TIMEOUT_S:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with code {process.returncode} before it was ready")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.02)
    raise RuntimeError(f"{url} was not ready within {START_TIMEOUT_S} s")
