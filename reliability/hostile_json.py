"""JSON that would take memory or time out of all proportion: `python -m reliability.hostile_json`.

Each body is posted to a service of its own, while a supervisor asks /healthz on a connection that is kept. It has to be
refused by 413 or 422, the supervisor answered within 0.1 s, and memory rise by no more than a few times the body.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from harness.pinned_services import started
from harness.report import describe_machine, table
from harness.service_specs import ours
from models import bundled_models_dir
from reliability.load.probes import Probes

MB = 1_000_000
MAX_RISE_MB = 250
MAX_PROBE_MS = 100


def latents(value: str, *, rows: int, columns: int) -> bytes:
    """A body with that many of the same value."""
    row = f"[{','.join([value] * columns)}]"
    return f'{{"latents":[{",".join([row] * rows)}]}}'.encode()


def repeated(value: str, times: int) -> bytes:
    """A body with a list of the same value."""
    return f'{{"x":[{",".join([value] * times)}]}}'.encode()


def names(number: int) -> bytes:
    """A body with as many parameters."""
    return f"{{{','.join([f'{chr(34)}{k:x}{chr(34)}:0' for k in range(number)])}}}".encode()


BODIES: dict[str, Callable[[], bytes]] = {
    "30 MB of null": lambda: latents("null", rows=1500, columns=4096),
    "15 MB of null": lambda: latents("null", rows=750, columns=4096),
    "800,000 null": lambda: latents("null", rows=200, columns=4096),
    "7.8 million whole numbers": lambda: latents("1", rows=1900, columns=4096),
    "800,000 fractions": lambda: latents("1.5", rows=200, columns=4096),
    "5 million lists": lambda: repeated("[]", 5 * MB),
    "5 million objects": lambda: repeated("{}", 5 * MB),
    "3 million texts": lambda: repeated('"ab"', 3 * MB),
    "a million names": lambda: names(MB),
    "8,192 deep": lambda: b"[" * 8192,
    "a text of 15 MB": lambda: b'{"model":"' + b"x" * 15 * MB + b'"}',
    "a number of 15 MB": lambda: b'{"n":' + b"9" * 15 * MB + b"}",
}


def main() -> int:
    """Post each, print; 1 if something was wrong."""
    rows, wrong = [], 0
    for name, make in BODIES.items():
        row, fine = post(make())
        rows.append([name, *row])
        wrong += not fine
    print(f"{describe_machine()}\n")
    print(table(["body", "MB", "answer", "s", "slowest probe, ms", "memory's rise at most, MB"], rows))
    return 1 if wrong else 0


def post(body: bytes) -> tuple[list[str], bool]:
    """What came of a body, and whether it is as it should be."""
    with started(ours(bundled_models_dir(), "mnist-mlp")) as running:
        before = most_mb(running.pid)
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
        rise = most_mb(running.pid) - before
    kept = next(probe for probe in probes.all if probe.path == "/healthz" and not probe.fresh)
    slowest = kept.sorted_ms()[-1]
    fine = answer.status_code in (413, 422) and slowest <= MAX_PROBE_MS and rise <= MAX_RISE_MB
    return [f"{len(body) / MB:.1f}", str(answer.status_code), f"{took:.2f}", f"{slowest:.0f}", f"{rise:.0f}"], fine


def most_mb(process: int) -> float:
    """The most memory that a process has had."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM:"))) / 1000


if __name__ == "__main__":
    sys.exit(main())
