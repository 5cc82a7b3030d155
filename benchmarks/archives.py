"""`python -m benchmarks.archives`: images/s of one large npz over HTTP, beside G alone in a loop on the same core.

The difference between the two is the time for drawing the latents and for writing latents and images as a stream.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import time
import urllib.request

import numpy as np

from benchmarks.load.options import add_model_options
from harness.cores import CLIENT_CORE, SERVER_CORE, pinned, pinned_to
from harness.pinned_services import started
from harness.report import describe_machine, table
from harness.service_specs import ServiceSpec, ours


def main() -> None:
    """Measure and print the table."""
    options = _parser().parse_args()
    service = ours(options.models_dir, options.model)
    bare = [sys.executable, "-m", "benchmarks.bare_generator", str(options.models_dir / options.model)]
    rates: dict[str, list[float]] = {"npz over HTTP": [], "G alone": []}
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds} …", file=sys.stderr)
        rates["npz over HTTP"].append(fetch(service, options.images))
        done = subprocess.run(
            [*pinned(SERVER_CORE), *bare, str(options.images)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        rates["G alone"].append(float(done.stdout))
    base = statistics.median(rates["G alone"])
    rows = []
    for name, values in rates.items():
        middle, spread = statistics.median(values), f"{min(values):,.0f} – {max(values):,.0f}"
        rows.append([name, f"{middle:,.0f}", spread, f"{middle / base:.2f}"])
    print(f"{describe_machine()}; {options.images:,} images, {options.rounds} rounds\n")
    print(table(["", "images/s", "lowest – highest", "× G alone"], rows))


def fetch(service: ServiceSpec, images: int) -> float:
    """Measure images/s of an npz, from the request to the last byte of the answer."""
    with started(service) as running, pinned_to(CLIENT_CORE):
        url = f"http://127.0.0.1:{running.port}/v1/samples?n={images}&seed=7&format=npz"
        with urllib.request.urlopen(url.replace("seed=7", "seed=8")) as answer:
            answer.read()  # first calls are slower; they are not counted for G alone either
        began = time.perf_counter()
        with urllib.request.urlopen(url) as answer:
            data = answer.read()
        rate = images / (time.perf_counter() - began)
    with np.load(io.BytesIO(data)) as archive:
        if len(archive["images"]) != images:
            raise RuntimeError(f"{url} gave {len(archive['images'])} images, not {images}")
    return rate


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.archives", description="Measure images/s of a large npz."
    )
    add_model_options(parser)
    parser.add_argument("--images", type=int, default=10_000, help="default: 10,000")
    return parser


if __name__ == "__main__":
    main()
