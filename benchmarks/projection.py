"""`python -m benchmarks.projection [MODEL …]`: how near a projection comes to an image, and how long it takes.

Each model projects images of its own (of another seed than the search draws from) and MNIST's test images. A model with
an encoder is measured with and without it. Distances are in grey levels (0–255), over all pixels. Seconds are processor
time of this process on one thread, so other work on the machine does not count.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness.report import describe_machine, table
from models import bundled_models_dir
from models.inference.projection import Projector
from models.inference.sampler import Sampler
from models.latents import draw_latents
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.read import load_model
from training.data.mnist import read_mnist

OWN_SEED = 99
HEADS = ["model", "encoder", "images", "mean abs.", "largest", "root mean sq.", "latent's r.m.s.", "CPU s", "longest"]


def main() -> None:
    """Measure and print the table."""
    options = _parser().parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.models or sorted(path.name for path in bundled_models_dir().iterdir() if path.is_dir()):
        model = load_model(Path(name) if Path(name).is_dir() else bundled_models_dir() / name)
        for encoder in {"no": None} | ({} if model.encoder is None else {"yes": model.encoder}):
            rows += measure(model, with_encoder=encoder == "yes", own=options.own, test=options.test)
    print(f"{describe_machine()}; 1 thread\n")
    print(table(HEADS, rows))


def measure(model: LoadedModel, *, with_encoder: bool, own: int, test: int) -> list[list[str]]:
    """Return rows of the table: for the model's own images, and for the test images if they have the same shape."""
    metadata = model.metadata
    sampler = Sampler.of_model(model)
    projector = Projector.of_model(model, sampler, with_encoder=with_encoder)
    sets = {"its own": sampler(draw_latents(OWN_SEED, 0, own, z_dim=metadata.z_dim, prior=metadata.prior))}
    digits = read_mnist()[1][:test]
    if digits.shape[1:] == metadata.image_shape.array:
        sets["MNIST test"] = digits
    projector(sets["its own"][0])  # PyTorch's first call is slower and is not counted
    head = [model.name, "yes" if with_encoder else "no"]
    return [[*head, f"{len(images)} {name}", *_figures(projector, sampler, images)] for name, images in sets.items()]


def _figures(projector: Projector, sampler: Sampler, images: NDArray[np.uint8]) -> list[str]:
    distances, squares, lengths, seconds = [], [], [], []
    for image in images:
        started = time.process_time()
        latent = projector(image).latent
        seconds.append(time.process_time() - started)
        difference = sampler(latent[None])[0].astype(np.float64) - image
        distances.append(float(np.abs(difference).mean()))
        squares.append(float((difference**2).mean()) ** 0.5)
        lengths.append(float((latent.astype(np.float64) ** 2).mean()) ** 0.5)
    means = [statistics.mean(distances), max(distances), statistics.mean(squares), statistics.mean(lengths)]
    return [*[f"{mean:.2f}" for mean in means], f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.projection", description="Measure distance and time of projections."
    )
    parser.add_argument("models", nargs="*", help="model folders, or names of bundled ones (default: all bundled)")
    parser.add_argument("--own", type=int, default=100, help="number of a model's own images (default: 100)")
    parser.add_argument("--test", type=int, default=200, help="number of MNIST's test images (default: 200)")
    return parser


if __name__ == "__main__":
    main()
