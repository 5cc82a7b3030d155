"""`python -m benchmarks.scoring`: requests/s of D's scores of 64 uploaded digits, PNGs of 28 × 28 pixels.

Our service is measured beside a plain service (`benchmarks.services.plain_service`): FastAPI, Pillow, and D in eager
float32, which answers with logits and probabilities only. Server and client (wrk) have a core each. Every second round
goes through the services in the opposite order, and the table gives medians.
"""

import argparse
import io
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import httpx
from PIL import Image

from benchmarks.load.measured import Measured
from benchmarks.load.options import add_load_options
from benchmarks.load.wrk import need_wrk
from benchmarks.services.specs import plain
from harness.pinned_services import started
from harness.report import describe_machine, table
from harness.service_specs import RequestTemplate, ours
from training.data.mnist import read_mnist

FILES = 64


def main() -> None:
    """Measure and print the table."""
    options = _parser().parse_args()
    need_wrk()
    mine, others = ours(options.models_dir, options.model), plain(options.models_dir, options.model)
    targets = {
        "ours, preprocess=none": (mine, "/v1/score?preprocess=none"),
        "ours, preprocess=auto": (mine, "/v1/score?preprocess=auto"),
        others.name: (others, "/score"),
    }
    measured: dict[str, Measured] = defaultdict(Measured)
    with tempfile.NamedTemporaryFile(suffix=".multipart") as file:
        content_type = _write_form(Path(file.name))
        for turn in range(options.rounds):
            for name, (service, target) in list(targets.items())[:: 1 if turn % 2 == 0 else -1]:
                print(f"round {turn + 1} of {options.rounds}: {name} …", file=sys.stderr)
                request = RequestTemplate(
                    target, "POST", headers={"Content-Type": content_type}, body_file=Path(file.name)
                )
                with started(service) as running:
                    measured[name].add_round(running, request, connections=options.connections, seconds=options.seconds)
    print(f"{options.model}; {describe_machine()}; {options.connections} clients\n")
    rates = {name: measured[name].middle for name in targets}
    rows = [
        [
            name,
            f"{result.rate:.0f}",
            f"{result.rate / rates[others.name].rate:.2f}",
            f"{measured[name].processor_us / 1000:.1f}",
            f"{result.p50_ms:.1f}",
            f"{result.p99_ms:.1f}",
            str(result.errors),
        ]
        for name, result in rates.items()
    ]
    print(table([f"{FILES} uploads", "requests/s", "× plain", "processor ms", "p50, ms", "p99, ms", "errors"], rows))


def _write_form(path: Path) -> str:
    """Write a multipart form with the first test digits to a file, and return its content type."""
    files = []
    for place, digit in enumerate(read_mnist()[1][:FILES]):
        png = io.BytesIO()
        Image.fromarray(digit).save(png, "PNG")
        files.append(("files", (f"{place}.png", png.getvalue(), "image/png")))
    request = httpx.Request("POST", "http://127.0.0.1", files=files)
    path.write_bytes(request.read())
    return request.headers["Content-Type"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scoring", description="Measure requests/s of scores of uploads."
    )
    add_load_options(parser, seconds=3)
    return parser


if __name__ == "__main__":
    main()
