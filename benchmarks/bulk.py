"""`python -m benchmarks.bulk`: images/s and peak memory of `training sample --out`, by format and number of images.

Each row is a command of its own. The time of the same command for one image, its start, is subtracted before the rate
is computed. Where other work is running, images/s of processor time say more than images/s by the clock.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness.report import describe_machine, table

FORMATS = ("npz", "png", "parquet", "webdataset")


@dataclass(frozen=True)
class CommandUsage:
    """The time, the memory and the disk space that a command used, without its children.

    Attributes:
        seconds: time by the clock.
        processor_s: processor time, in seconds.
        peak_bytes: largest resident memory.
        disk_bytes: size of the files that it wrote.
    """

    seconds: float
    processor_s: float
    peak_bytes: int
    disk_bytes: int


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="images/s and memory of `training sample --out`")
    parser.add_argument("--model", default="mnist-mlp", help="default: mnist-mlp")
    parser.add_argument("--images", type=int, default=100_000, help="images of each format (default: 100,000)")
    parser.add_argument(
        "--more", type=int, default=1_000_000, help="images of a second row of npz (default: 1,000,000)"
    )
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS, help="default: all")
    options = parser.parse_args()
    runs = [(name, options.images) for name in options.formats]
    if "npz" in options.formats:
        runs.insert(1, ("npz", options.more))
    starts: dict[str, CommandUsage] = {}
    rows = []
    for name, images in runs:
        print(f"{name}, {images:,} images …", file=sys.stderr)
        start = starts.setdefault(name, measure(options.model, name, 1))
        usage = measure(options.model, name, images)
        rows.append(
            [
                name,
                f"{images:,}",
                f"{images / (usage.seconds - start.seconds):,.0f}",
                f"{images / (usage.processor_s - start.processor_s):,.0f}",
                f"{usage.peak_bytes / 1e6:,.0f}",
                f"{usage.disk_bytes / images:,.0f}",
            ]
        )
    print(f"{describe_machine()}; {options.model}, shards of 10,000, one process\n")
    heads = ["format", "images", "images/s", "images/s of processor", "peak resident, MB", "bytes an image"]
    print(table(heads, rows))


def measure(model: str, format_name: str, images: int) -> CommandUsage:
    """Measure the command that writes `images` images into a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="gan-bulk-") as folder:
        command = [sys.executable, "-m", "training", "sample", model, "--n", str(images), "--format", format_name]
        began = time.perf_counter()
        process = subprocess.Popen([*command, "--out", f"{folder}/out"], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}")
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return CommandUsage(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, disk)


if __name__ == "__main__":
    main()
