"""The comparison of an ONNX file with the model folder: ONNX Runtime computes the one, this program the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from models.images import channels_first, from_uint8, to_uint8
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.model_folder.loaded_model import LoadedModel
from models.networks.conditional import ask_for_class
from training.errors import OnnxError
from training.onnx_export.networks import NO_CLASS, ImageType

SEED = 3
LATENTS = 2048
"""The number of latents whose images are compared. If G has classes, a class is asked for in each second row."""

ROWS = 256
"""The most rows in one call of ONNX Runtime; the first call has one row."""

MOST_LEVELS = 1
"""Each pixel must be within this many grey levels of the folder's, before the tone curve."""

MOST_RELATIVE = 1e-4
"""Each logit must be within this share of the largest one."""


@dataclass(frozen=True)
class PixelComparison:
    """How the images of G's file differ from the folder's.

    Attributes:
        images: the number of images.
        pixels: the number of all their values.
        largest: the largest difference, in grey levels, after the tone curve if the file has it.
        differing: the number of values that differ.
        toned: whether the levels are those after a tone curve, which can make one level of G several of the image.
    """

    images: int
    pixels: int
    largest: int
    differing: int
    toned: bool

    def __str__(self) -> str:
        after, share = " after the tone curve" if self.toned else "", self.differing / self.pixels
        return (
            f"G: {self.images:,} images compared with the folder's: the largest difference is {self.largest} grey "
            f"level(s){after}; {self.differing:,} of {self.pixels:,} pixels differ ({share:.2g} of all)"
        )


@dataclass(frozen=True)
class LogitComparison:
    """How the logits of D's file differ from the folder's.

    Attributes:
        images: the number of images that were judged.
        largest: the largest difference, divided by `scale`.
        scale: the largest absolute value of a logit.
    """

    images: int
    largest: float
    scale: float

    def __str__(self) -> str:
        return (
            f"D: {self.images:,} logits compared with the folder's: the largest difference is {self.largest:.1e} of "
            f"the largest logit, {self.scale:.3g} (allowed: {MOST_RELATIVE:.0e})"
        )


def check_generator(file: bytes, model: LoadedModel, images: ImageType, *, latents: int = LATENTS) -> PixelComparison:
    """Compare the images of G's file with those of the folder's sampler, which are the service's.

    Args:
        file: the ONNX file.
        model: the model folder.
        images: the type of the file's images.
        latents: the number of latents to compare.

    Raises:
        OnnxError: a pixel differs by more than `MOST_LEVELS` grey levels before the tone curve.
    """
    drawn, inputs = _latents(model, latents)
    seen = run_file(file, inputs)
    levels = Sampler(model.generator, z_dim=model.metadata.z_dim, image_shape=model.metadata.image_shape)(drawn)
    tone_curve = model.tone_curve if images == "uint8" else None
    lowest, highest = np.maximum(levels, MOST_LEVELS) - MOST_LEVELS, np.minimum(levels, 255 - MOST_LEVELS) + MOST_LEVELS
    if tone_curve is not None:  # it can make one level of G many levels of the image
        lowest, levels, highest = tone_curve(lowest), tone_curve(levels), tone_curve(highest)
    wanted = channels_first(levels).numpy()
    found = seen if images == "uint8" else _levels_of(seen)
    apart = np.abs(found.astype(int) - wanted)
    comparison = PixelComparison(
        images=len(drawn),
        pixels=apart.size,
        largest=int(apart.max()),
        differing=int(np.count_nonzero(apart)),
        toned=tone_curve is not None,
    )
    within = (found >= channels_first(lowest).numpy()) & (found <= channels_first(highest).numpy())
    if not within.all():
        raise OnnxError(f"ONNX Runtime draws other images than {model.reference}, so no file was written: {comparison}")
    return comparison


def check_discriminator(file: bytes, model: LoadedModel, *, images: int = LATENTS) -> LogitComparison:
    """Compare the logits of D's file with those of the folder's scorer, on images of G and on noise, half of each.

    Args:
        file: the ONNX file.
        model: the model folder.
        images: the number of images to judge.

    Raises:
        OnnxError: a logit differs by more than `MOST_RELATIVE` of the largest one.
    """
    drawn = Sampler.of_model(model)(model.draw_latents(SEED, 0, images))
    noise = np.random.default_rng(SEED).integers(0, 256, drawn[images // 2 :].shape, dtype=np.uint8)
    judged = np.concatenate([drawn[: images // 2], noise])
    seen = run_file(file, {"images": from_uint8(judged).numpy()})
    wanted = Scorer.of_model(model)(judged)
    scale = float(np.abs(wanted).max())
    largest = float(np.abs(seen - wanted).max()) / scale if scale else float(np.abs(seen).max())
    comparison = LogitComparison(images, largest, scale)
    if not largest <= MOST_RELATIVE:  # also if it is NaN
        raise OnnxError(f"ONNX Runtime judges otherwise than {model.reference}, so no file was written: {comparison}")
    return comparison


def open_session(file: bytes) -> onnxruntime.InferenceSession:
    """Open an ONNX file in ONNX Runtime, on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # an error is raised, and needs no second message
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def run_file(file: bytes, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Run an ONNX file on rows of inputs, first on one row, then on `ROWS` at once, and return its one output."""
    session = open_session(file)
    rows = len(next(iter(inputs.values())))
    cuts = [0, *range(1, rows, ROWS), rows]
    parts = [
        session.run(None, {name: values[first:end] for name, values in inputs.items()})[0]
        for first, end in pairwise(cuts)
    ]
    return np.concatenate(parts)


def _latents(model: LoadedModel, n: int) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
    """Return latents for the sampler, [n, z_dim] float32, and the file's inputs that ask for the same images."""
    drawn = model.draw_latents(SEED, 0, n)
    if not model.metadata.classes:
        return drawn, {"latents": drawn}
    labels = np.full(n, NO_CLASS, dtype=np.int64)
    labels[1::2] = np.arange(len(labels[1::2])) % model.metadata.classes
    asked = drawn.copy()
    asked[1::2] = ask_for_class(drawn[1::2], labels[1::2], head_starts=model.head_starts)
    return asked, {"latents": drawn, "class": labels}


def _levels_of(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round float images [N, C, H, W] to grey levels of the same shape."""
    return channels_first(to_uint8(torch.from_numpy(images))).numpy()
