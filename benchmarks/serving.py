"""`python -m benchmarks.serving`: requests/s and latency of one image and of a grid of 64, a new seed each request.

Ours stands beside a plain service (`benchmarks.plain_service`) and beside FastAPI's own hello. Server and client (wrk)
are pinned to a core each; rounds alternate between the services, and the medians are given. All three run in uvicorn
with uvloop and httptools, one process, without an access log.
"""

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import describe_machine, table
from models import bundled_models_dir

LUA = """
-- Each request asks for a seed of its own.
local path, seed = os.getenv("BENCH_PATH"), 0
request = function()
    seed = seed + 1
    return wrk.format("GET", path .. "&seed=" .. seed)
end
done = function(summary, latency)
    io.write(string.format("RESULT %f %f %f %d\\n", summary.requests / summary.duration * 1e6,
        latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.connect
        + summary.errors.read + summary.errors.timeout))
end
"""

SERVER_CORE, CLIENT_CORE = 0, 1
START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Contender:
    """A service: how to start it, and what to ask it for."""

    name: str
    command: list[str]
    environment: dict[str, str]
    ready_path: str
    one_path: str
    grid_path: str


@dataclass
class Measured:
    """Figures of one service and one kind of request, a value for each round."""

    rates: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    errors: int = 0


def main() -> None:
    """Measure and print the tables."""
    options = _parser().parse_args()
    if shutil.which("wrk") is None:
        sys.exit("error: wrk is missing: apt-get install wrk")
    kinds = {"one image": "one_path", "64 grid": "grid_path"}
    figures: dict[tuple[str, str, int], Measured] = {}
    footprints: dict[str, list[str]] = {}
    services = contenders(options.models_dir, options.model)
    for turn in range(options.rounds):
        for service in services:
            print(f"round {turn + 1} of {options.rounds}: {service.name} …", file=sys.stderr)
            with started(service) as (port, seconds, process):
                for kind, path in kinds.items():
                    for connections in (options.connections, 1):
                        measured = figures.setdefault((service.name, kind, connections), Measured())
                        load(measured, port, getattr(service, path), connections, options.seconds)
                footprints[service.name] = [service.name, f"{seconds:.1f}", f"{resident_mb(process.pid):.0f}"]
    print(f"{describe_machine()}; server and wrk on a core each, {options.rounds} rounds of {options.seconds:g} s")
    for kind in kinds:
        print(f"\n{kind}\n")
        print(_table(services, figures, kind, options.connections))
    print()
    print(table(["service", "start to ready, s", "resident, MB"], list(footprints.values())))


def contenders(models_dir: Path, model: str) -> list[Contender]:
    """Ours, the plain service, and hello."""
    uvicorn = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port", "{port}"]
    return [
        Contender(
            "ours",
            [sys.executable, "-m", "app"],
            {
                "GAN_PORT": "{port}",
                "GAN_MODELS_DIR": str(models_dir),
                "GAN_DEFAULT_MODEL": model,
                "GAN_LOG_LEVEL": "warning",
            },
            "/readyz",
            "/v1/samples?n=1&format=png",
            "/v1/samples?n=64&padding=0&format=png",
        ),
        Contender(
            "plain FastAPI, eager G, Pillow",
            [*uvicorn, "benchmarks.plain_service:app"],
            {"PLAIN_MODEL": str(models_dir / model)},
            "/samples?n=1",
            "/samples?n=1",
            "/samples?n=64",
        ),
        Contender(
            "FastAPI's hello",
            [*uvicorn, "benchmarks.hello_service:app"],
            {},
            "/hello",
            "/hello?n=1",
            "/hello?n=64",
        ),
    ]


@contextmanager
def started(service: Contender) -> Iterator[tuple[int, float, "subprocess.Popen[bytes]"]]:
    """Run a service on a free port and on its core; gives (port, seconds until it was ready, process)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = _pinned(SERVER_CORE) + [part.format(port=port) for part in service.command]
    settings = {name: value.format(port=port) for name, value in service.environment.items()}
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | settings
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}{service.ready_path}", began)
        yield port, time.perf_counter() - began, process
    finally:
        process.terminate()
        process.wait(timeout=30)


def load(measured: Measured, port: int, path: str, connections: int, seconds: float) -> None:
    """Put load on a service for so many seconds, and note the figures."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA)
        script.flush()
        command = [*_pinned(CLIENT_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", script.name]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}"],
            env=os.environ | {"BENCH_PATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"RESULT (\S+) (\S+) (\S+) (\S+)", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk printed no figures: {done.stdout} {done.stderr}")
    measured.rates.append(float(found[1]))
    measured.p50_us.append(float(found[2]))
    measured.p99_us.append(float(found[3]))
    measured.errors += int(found[4])


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB (10⁶ bytes); NaN where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return float("nan")
    return int(status.read_text(encoding="utf-8").split("VmRSS:")[1].split()[0]) * 1024 / 1e6


def _table(
    services: list[Contender], figures: dict[tuple[str, str, int], Measured], kind: str, connections: int
) -> str:
    rows = []
    base = statistics.median(figures[services[1].name, kind, connections].rates)
    for service in services:
        many, lone = figures[service.name, kind, connections], figures[service.name, kind, 1]
        rate = statistics.median(many.rates)
        rows.append(
            [
                service.name,
                f"{rate:,.0f}",
                f"{rate / base:.2f}",
                f"{statistics.median(many.p50_us) / 1000:.2f}",
                f"{statistics.median(many.p99_us) / 1000:.2f}",
                f"{statistics.median(lone.p50_us) / 1000:.2f}",
                str(many.errors + lone.errors),
            ]
        )
    heads = [
        "service",
        f"requests/s, {connections} clients",
        "× plain",
        "p50, ms",
        "p99, ms",
        "lone client p50, ms",
        "errors",
    ]
    return table(heads, rows)


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, began: float) -> None:
    while time.perf_counter() - began < START_TIMEOUT_S:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with code {process.returncode} before it was ready")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.02)
    raise RuntimeError(f"{url} was not ready within {START_TIMEOUT_S} s")


def _pinned(core: int) -> list[str]:
    """A prefix that pins a command to a core, where there are two and `taskset` to do it."""
    can = shutil.which("taskset") is not None and len(os.sched_getaffinity(0)) > 1
    return ["taskset", "--cpu-list", str(core)] if can else []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description="Requests/s and latency.")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement (default: 3)")
    parser.add_argument("--connections", type=int, default=16, help="clients at once (default: 16)")
    parser.add_argument("--models-dir", type=Path, default=bundled_models_dir(), help="default: the bundled models")
    parser.add_argument("--model", default="mnist-mlp", help="default: mnist-mlp")
    return parser


if __name__ == "__main__":
    main()
