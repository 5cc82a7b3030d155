"""`python -m benchmarks.onnx_export`: how long ONNX Runtime takes for exported networks, on one thread.

Each time is the median of many calls, one after the other; the first calls are not counted.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from harness.report import describe_machine, table
from models import bundled_models_dir
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.read import load_model
from training.onnx_export.checker import open_session
from training.onnx_export.write import discriminator_file, generator_file

ROWS = (1, 64)
WARM_UP = 20
SEED = 1234


def main() -> None:
    """Print a table with a row for G and for D of each model."""
    options = _parser().parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.models:
        folder = Path(name)
        model = load_model(folder if folder.is_dir() else bundled_models_dir() / name)
        for network, file, inputs in (
            ("G", generator_file(model), _inputs_of_g(model)),
            ("D", discriminator_file(model), _inputs_of_d(model)),
        ):
            session = open_session(file)
            times = [_median_ms(session, _first(inputs, n), calls=options.calls) for n in ROWS]
            rows.append([model.name, network, f"{len(file) / 1e6:.2f}", *(f"{ms:.3f}" for ms in times)])
    print(f"{describe_machine()}; ONNX Runtime {onnxruntime.__version__}, 1 thread, {options.calls} calls\n")
    print(table(["model", "network", "MB", *(f"{n} image{'s' * (n > 1)}, ms" for n in ROWS)], rows))


def _inputs_of_g(model: LoadedModel) -> dict[str, NDArray[Any]]:
    inputs: dict[str, NDArray[Any]] = {"latents": model.draw_latents(SEED, 0, max(ROWS))}
    if model.metadata.classes:
        inputs["class"] = np.arange(max(ROWS)) % model.metadata.classes
    return inputs


def _inputs_of_d(model: LoadedModel) -> dict[str, NDArray[Any]]:
    shape = (max(ROWS), *model.metadata.image_shape.chw)
    return {"images": np.random.default_rng(SEED).uniform(-1, 1, shape).astype(np.float32)}


def _first(inputs: Mapping[str, NDArray[Any]], n: int) -> dict[str, NDArray[Any]]:
    return {name: values[:n] for name, values in inputs.items()}


def _median_ms(session: onnxruntime.InferenceSession, inputs: dict[str, NDArray[Any]], *, calls: int) -> float:
    times = []
    for _ in range(WARM_UP + calls):
        start = time.perf_counter()
        session.run(None, inputs)
        times.append(time.perf_counter() - start)
    return float(np.median(times[WARM_UP:]) * 1000)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.onnx_export", description="Measure exported networks in ONNX Runtime."
    )
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="*",
        default=sorted(path.name for path in bundled_models_dir().iterdir() if path.is_dir()),
        help="bundled models, or paths of model folders (default: all bundled models)",
    )
    parser.add_argument("--calls", metavar="N", type=int, default=1000, help="calls to time (default: 1000)")
    return parser


if __name__ == "__main__":
    main()
