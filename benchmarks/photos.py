"""`python -m benchmarks.photos DIR [MODEL …]`: what becomes of photos and drawings of digits that people have made.

DIR holds pictures and `labels.tsv`, a table with the columns `file`, `digit` (or `-` for what is no digit) and `kind`.
Each picture goes the way of an upload, `preprocess=auto`. Then each is cut to the box that was found, and goes again: a
picture without any paper around the digit is hard.

- recognised: the digit classifier reads the prepared image as the label says. A picture in which nothing is found is
  not recognised.
- under 5, 50 or more: the percentile of D's score among held-out real images.

The last lines are the time of a photo of 12 megapixels (processor time of one thread, file to image), and by how many
grey levels MNIST's own test images change, on average.
"""

import argparse
import csv
import io
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from app.media.uploads import read_upload
from harness.report import describe_machine, table
from models import bundled_models_dir
from models.images import ImageShape, to_float
from models.inference.scorer import Scorer
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.read import load_model
from training.data.mnist import read_mnist
from training.evaluation.classifier import ImageClassifier, load_classifier

NO_DIGIT = "-"
LARGE = (3024, 4032)
MAX_PIXELS = 64_000_000


class Labelled(NamedTuple):
    """A picture of the folder: the bytes of its file, its digit (or `NO_DIGIT`) and its kind."""

    name: str
    digit: str
    kind: str
    data: bytes


class Outcome(NamedTuple):
    """What became of a picture: whether a digit was found, what the classifier reads, and the percentile by model."""

    picture: Labelled
    found: bool
    read: str
    percentiles: tuple[float, ...]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photos", description="Measure photos of digits.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="pictures and labels.tsv")
    parser.add_argument("models", nargs="*", metavar="MODEL", default=["mnist-conv"], help="default: mnist-conv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    models = [load_model(Path(name) if Path(name).is_dir() else bundled_models_dir() / name) for name in options.models]
    pictures = read_pictures(options.folder)
    print(f"{describe_machine()}; {', '.join(model.name for model in models)}\n")
    print(_table(examine(pictures, models), models), end="\n\n")
    print(_table(examine(cut_to_ink(pictures), models), models, title="cut to its ink"), end="\n\n")
    print(f"a photo of 12 megapixels: {seconds_of_large(pictures):.2f} s of one core (median of 5)")
    print(f"MNIST's test images change by {change_of_mnist():.2f} grey levels on average (500 images)")


def read_pictures(folder: Path) -> list[Labelled]:
    """Read the pictures of a folder that `labels.tsv` names."""
    with (folder / "labels.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [Labelled(row["file"], row["digit"], row["kind"], (folder / row["file"]).read_bytes()) for row in rows]


def cut_to_ink(pictures: Iterable[Labelled]) -> list[Labelled]:
    """Cut each picture of a digit to the box that is found in it; those without are left out."""
    cut = []
    for picture in pictures:
        (made,) = read_upload(
            picture.data, filename=picture.name, shape=ImageShape(), preprocess="auto", max_pixels=MAX_PIXELS
        )
        if picture.digit == NO_DIGIT or made.box is None:
            continue
        file = io.BytesIO()
        ImageOps.exif_transpose(Image.open(io.BytesIO(picture.data))).crop(made.box).save(file, "PNG")
        cut.append(picture._replace(data=file.getvalue()))
    return cut


def examine(pictures: Iterable[Labelled], models: list[LoadedModel]) -> list[Outcome]:
    """Prepare each picture, read it and score it."""
    classifier, scorers = load_classifier(), [(Scorer.of_model(model), model.metadata.calibration) for model in models]
    outcomes = []
    for picture in pictures:
        (made,) = read_upload(
            picture.data, filename=picture.name, shape=ImageShape(), preprocess="auto", max_pixels=MAX_PIXELS
        )
        if made.image is None:
            outcomes.append(Outcome(picture, found=False, read="", percentiles=(0.0,) * len(models)))
            continue
        image = made.image[None]
        percentiles = tuple(float(known.percentiles(float(score(image)[0]))["real"] or 0) for score, known in scorers)
        outcomes.append(Outcome(picture, True, _read(classifier, image), percentiles))
    return outcomes


@torch.no_grad()
def _read(classifier: ImageClassifier, image: NDArray[np.uint8]) -> str:
    return str(int(classifier(to_float(torch.from_numpy(image.copy())[:, None])).argmax()))


def _table(outcomes: list[Outcome], models: list[LoadedModel], *, title: str = "kind") -> str:
    heads = [title, "n", "recognised", "nothing found"]
    heads += [f"{limit}, {model.name}" for model in models for limit in ("under 5", "50 or more")]
    kinds = sorted({outcome.picture.kind for outcome in outcomes})
    groups = {kind: [outcome for outcome in outcomes if outcome.picture.kind == kind] for kind in kinds}
    groups["all photos"] = [outcome for outcome in outcomes if outcome.picture.kind.startswith("photo")]
    groups["all digits"] = [outcome for outcome in outcomes if outcome.picture.digit != NO_DIGIT]
    groups["all that is no digit"] = [outcome for outcome in outcomes if outcome.picture.digit == NO_DIGIT]
    return table(heads, [_row(name, group) for name, group in groups.items() if group])


def _row(name: str, group: list[Outcome]) -> list[str]:
    digits = [outcome for outcome in group if outcome.picture.digit != NO_DIGIT]
    found = [outcome for outcome in group if outcome.found]
    right = sum(outcome.read == outcome.picture.digit for outcome in digits)
    row = [name, str(len(group)), _share(right, len(digits)), str(len(group) - len(found))]
    for index in range(len(group[0].percentiles)):
        row.append(_share(sum(outcome.percentiles[index] < 5 for outcome in found), len(group)))
        row.append(_share(sum(outcome.percentiles[index] >= 50 for outcome in found), len(group)))
    return row


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def seconds_of_large(pictures: list[Labelled], *, rounds: int = 5) -> float:
    """Return the median processor time of a photo of 12 megapixels: the first picture, enlarged, with noise."""
    photo = Image.open(io.BytesIO(pictures[0].data)).convert("RGB").resize(LARGE, Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 4, (LARGE[1], LARGE[0], 1))
    file = io.BytesIO()
    Image.fromarray((np.asarray(photo) + noise).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=92)
    seconds = []
    for _ in range(rounds):
        started = time.thread_time()
        read_upload(file.getvalue(), filename="large.jpg", shape=ImageShape(), preprocess="auto", max_pixels=MAX_PIXELS)
        seconds.append(time.thread_time() - started)
    return statistics.median(seconds)


def change_of_mnist(*, images: int = 500) -> float:
    """Return by how many grey levels MNIST's test images change in the preparation, on average over all pixels."""
    changes = []
    for digit in read_mnist()[1][:images]:
        file = io.BytesIO()
        Image.fromarray(digit).save(file, "PNG")
        (made,) = read_upload(
            file.getvalue(), filename="it.png", shape=ImageShape(), preprocess="auto", max_pixels=MAX_PIXELS
        )
        assert made.image is not None  # noqa: S101
        changes.append(float(np.abs(made.image.astype(int) - digit).mean()))
    return statistics.fmean(changes)


if __name__ == "__main__":
    main()
