"""`python -m benchmarks.features DATA`: what the features of a data set's own network see, beside wavelets.

Half of the held-out images are compared with the other half, as they are and with a planted fault. The network never
saw any of them. A row with training images shows what it changes that the network was trained on the images.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from harness.planted_faults import spoil
from harness.report import describe_machine, table
from training.data.dataset import Dataset, load_dataset
from training.evaluation.features import BuiltIn, Extractor, name_of
from training.evaluation.full.accuracy_score import Labelled
from training.evaluation.learned.obtain import obtain_features
from training.evaluation.metrics import frechet_distance, precision_recall_density_coverage

FAULTS = {
    "perfect": "other held-out images",
    "training": "training images",
    "class missing": "one class missing",
    "half missing": "half of the classes missing",
    "shifted": "shifted by 3 pixels",
    "blurred": "blurred (3 × 3)",
    "noisy": "noisy (σ = 32 grey levels)",
    "one class": "one class only",
}
COLUMNS = ("Fréchet", "× real", "precision", "coverage")


def main() -> None:
    """Print the table."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    data = load_dataset(options.data)
    started = time.process_time()
    learned = obtain_features(options.kind, data, file=options.keep, keep=True, say=print, steps=options.steps)
    seconds = time.process_time() - started
    order = torch.randperm(len(data.held_out), generator=torch.Generator().manual_seed(0))
    sets = fault_sets(data, order[: options.images], order[options.images : 2 * options.images])
    found = [figures_of(sets, extractor) for extractor in (BuiltIn(0), learned)]
    print(f"\n{describe_machine()}; {options.threads} thread(s); features made in {seconds:.0f} s of processor time\n")
    names = [name_of(extractor.figures) for extractor in (BuiltIn(0), learned)]
    heads = [f"{name}: {column}" for name in names for column in COLUMNS]
    print(table(["compared with held-out images", *heads], [_row(fault, found) for fault in FAULTS]))


def fault_sets(data: Dataset, reference: torch.Tensor, others: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the held-out images to compare with, as "reference", and a set of images for each of the `FAULTS`.

    Args:
        data: the data set, with labels.
        reference: the rows of the held-out images to compare with.
        others: the rows of the others, in which faults are planted.
    """
    if data.held_out_labels is None:
        raise SystemExit(f"{data.name} has no labels: give labelled data")
    images, labels = data.held_out[others], data.held_out_labels[others]
    perfect = Labelled(images, labels)

    def only(kept: torch.Tensor) -> torch.Tensor:
        return images[kept][torch.arange(len(images)) % int(kept.sum())]

    return {
        "reference": data.held_out[reference],
        "perfect": images,
        "training": data.images[: len(images)],
        "class missing": only(labels != 0),
        "half missing": only(labels >= data.classes / 2),
        **{fault: spoil(perfect, data, fault).images for fault in ("shifted", "blurred", "noisy")},
        "one class": only(labels == 0),
    }


def figures_of(sets: Mapping[str, torch.Tensor], extractor: Extractor) -> dict[str, dict[str, float]]:
    """Return the figures of each set, compared with the reference."""
    values = {name: extractor.extract(images).values for name, images in sets.items()}
    real = values.pop("reference")
    return {
        name: {"frechet": frechet_distance(real, of), **precision_recall_density_coverage(real, of)}
        for name, of in values.items()
    }


def _row(fault: str, found: list[dict[str, dict[str, float]]]) -> list[str]:
    cells = [FAULTS[fault]]
    for figures in found:
        of, real = figures[fault], figures["perfect"]["frechet"]
        cells += [
            f"{of['frechet']:.3g}",
            f"{of['frechet'] / real:.1f}",
            f"{of['precision']:.2f}",
            f"{of['coverage']:.2f}",
        ]
    return cells


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.features",
        description="Compare real images with real images, with and without faults, in two kinds of features.",
    )
    parser.add_argument("data", metavar="DATA", help="labelled images: a folder, an .npz or an IDX file")
    parser.add_argument(
        "--kind", choices=["classifier", "self-supervised"], default="classifier", help="default: classifier"
    )
    parser.add_argument("--images", type=int, default=5000, help="images in each set (default: 5,000)")
    parser.add_argument("--keep", metavar="FILE", type=Path, help="keep the network in this file, and use it again")
    parser.add_argument("--steps", type=int, help="training steps (default: as many as `fit` makes)")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    return parser


if __name__ == "__main__":
    main()
