"""Faults of the engine in the real service: `python -m reliability.faults --tries 20`.

The networks are made to raise SystemExit, MemoryError and torch's error for a GPU without memory, or never to return.
The client must get a 503 with Retry-After, and the service must answer again: by itself, or, if a call hangs
(GAN_ENGINE_TIMEOUT_S=1), by a new process in place of the one that ends.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

from harness.pinned_services import started
from harness.report import describe_machine, table
from harness.repository import ROOT
from harness.service_specs import ServiceSpec, ours
from models import bundled_models_dir
from reliability.load.probes import Probes
from reliability.load.waiting import listeners, wait_for

ENGINE_TIMEOUT_S = 1
SABOTAGE = """
import sys, time
from pathlib import Path

sys.path.insert(0, {root!r})
import torch
from models.inference import sampler

orders, call = Path({orders!r}), sampler.Sampler.__call__

def sabotaged(self, latents):
    order = orders.read_text() if len(latents) % 64 == 13 and orders.exists() else ""
    if order == "hang":
        time.sleep(1000)
    errors = {{"die": SystemExit, "no memory": MemoryError, "no CUDA memory": torch.OutOfMemoryError}}
    if order:
        raise errors[order]("sabotage")
    return call(self, latents)

sampler.Sampler.__call__ = sabotaged
"""
DRAW = "/v1/samples?n=13&seed=1&truncation=0.5"
"""A request for 13 images: only calls of this size are sabotaged."""

FAULTS = {"die": 1, "no memory": 1, "no CUDA memory": 1, "hang": 2}
"""The number of workers, by fault."""


def main() -> int:
    """Run the trial and print its table. Return 1 if something was wrong, otherwise 0."""
    parser = argparse.ArgumentParser(description="Cause faults of the engine, and see that the service recovers.")
    parser.add_argument(
        "--tries", type=int, default=20, help="tries of each fault, and a quarter of it for hangs (default: 20)"
    )
    options = parser.parse_args()
    rows, wrong = [], []
    for fault, workers in FAULTS.items():
        print(f"{fault} …", file=sys.stderr)
        tries = options.tries if workers == 1 else max(1, options.tries // 4)
        with tempfile.TemporaryDirectory(prefix="gan-faults-") as work:
            orders = Path(work) / "orders"
            (Path(work) / "sitecustomize.py").write_text(
                SABOTAGE.format(root=str(ROOT), orders=str(orders)), encoding="utf-8"
            )
            with started(service(work, workers)) as running, Probes(running.port) as probes:
                seen = [break_once(running.port, orders, fault, workers) for _ in range(tries)]
        said = [what for *_, what in seen if what]
        wrong += [f"{fault}: {what}" for what in said]
        unready = sum(status == 503 for probe in probes.all for *_, status in probe.seen)
        told = sorted(ms for ms, *_ in seen)
        backs = sorted(s for _, s, _ in seen)
        cells = [f"{statistics.median(told):.0f}", f"{told[-1]:.0f}"]
        cells += [f"{statistics.median(backs):.2f}", f"{backs[-1]:.2f}"]
        rows.append([fault, str(tries), str(tries - len(said)), *cells, str(unready)])
    print(f"{describe_machine()}; GAN_ENGINE_TIMEOUT_S={ENGINE_TIMEOUT_S}\n")
    heads = ["fault", "tries", "503, and back", "told after, ms", "at most", "back after, s", "at most", "probes: 503"]
    print(table(heads, rows))
    print("\n".join(["", *wrong]) if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


def break_once(port: int, orders: Path, fault: str, workers: int) -> tuple[float, float, str]:
    """Break the engine once. Return ms until the client was told, s until it answers again, and what was wrong."""
    orders.write_text(fault, encoding="utf-8")
    began = time.perf_counter()
    status, retry_after = ask(port)
    told = time.perf_counter()
    orders.unlink(missing_ok=True)
    wrong = "" if (status, bool(retry_after)) == (503, True) else f"answered {status}, Retry-After: {retry_after}"
    if workers > 1 and not wait_for(lambda: listeners(port) < workers):
        wrong = wrong or "the process did not end"
    if not wait_for(lambda: listeners(port) == workers and ask(port)[0] == 200):
        wrong = wrong or "it did not come back"
    return (told - began) * 1000, time.perf_counter() - told, wrong


def ask(port: int) -> tuple[int, str | None]:
    """Send a request and return the status and Retry-After of its answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{DRAW}", timeout=60) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Retry-After"]
    except OSError:
        return 0, None


def service(code: str, workers: int) -> ServiceSpec:
    """Describe our service, which imports the modules of the folder `code` before all others."""
    spec = ours(bundled_models_dir(), "mnist-mlp").with_settings(workers=workers, engine_timeout_s=ENGINE_TIMEOUT_S)
    return replace(spec, environment=spec.environment | {"PYTHONPATH": os.pathsep.join([code, str(ROOT)])})


if __name__ == "__main__":
    sys.exit(main())
