"""JSON that would take far more memory or time than its size: `python -m reliability.hostile_json`.

Each body is posted to a service of its own, while a supervisor asks for /healthz on one connection. The body must be
refused with 413 or 422, the supervisor must be answered within 0.1 s, and memory may rise by at most a few times the
size of the body.
"""

import sys
import time

import httpx

from harness.pinned_services import started
from harness.process_tree import peak_mb
from harness.report import describe_machine, table
from harness.service_specs import ours
from models import bundled_models_dir
from reliability.hostile.json_bodies import BODIES, MB
from reliability.load.probes import Probes

MAX_RISE_MB = 250
MAX_PROBE_MS = 100


def main() -> int:
    """Post each body and print the table. Return 1 if something was wrong, otherwise 0."""
    rows, wrong = [], 0
    for name, make in BODIES.items():
        row, fine = post(make())
        rows.append([name, *row])
        wrong += not fine
    print(f"{describe_machine()}\n")
    print(table(["body", "MB", "answer", "s", "slowest probe, ms", "largest rise of memory, MB"], rows))
    return 1 if wrong else 0


def post(body: bytes) -> tuple[list[str], bool]:
    """Post a body. Return the cells of its row, and whether everything was as it should be."""
    with started(ours(bundled_models_dir(), "mnist-mlp")) as running:
        before = peak_mb(running.pid)
        with Probes(running.port) as probes:
            time.sleep(0.5)
            began = time.perf_counter()
            answer = httpx.post(
                f"http://127.0.0.1:{running.port}/v1/samples",
                content=body,
                headers={"Content-Type": "application/json"},
                timeout=300,
            )
            took = time.perf_counter() - began
        rise = peak_mb(running.pid) - before
    kept = next(probe for probe in probes.all if probe.path == "/healthz" and not probe.fresh)
    slowest = kept.sorted_ms()[-1]
    fine = answer.status_code in (413, 422) and slowest <= MAX_PROBE_MS and rise <= MAX_RISE_MB
    return [f"{len(body) / MB:.1f}", str(answer.status_code), f"{took:.2f}", f"{slowest:.0f}", f"{rise:.0f}"], fine


if __name__ == "__main__":
    sys.exit(main())
