"""The shortest code that draws and scores pictures: PyTorch's noise, G and D in eager float32, Pillow.

The plain service and the rivals all answer with these pictures, so they differ only in the server.
"""

import io
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from models.grids import default_columns
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.read import load_model
from models.networks.quantised import without_rounding


class PlainPictures:
    """Draws PNG grids with the G of the model folder that the environment variable PLAIN_MODEL names."""

    def __init__(self) -> None:
        self._model = _model()
        self._generator = without_rounding(self._model.generator)

    def __call__(self, asked: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return a grid of n images of the seed as a PNG, for each (n, seed), n ≥ 1. G is called once for all grids."""
        latents = [self._noise(n, seed) for n, seed in asked]
        with torch.no_grad():
            images = self._generator(torch.cat(latents))
        pixels = ((images + 1) * 127.5).round().to(torch.uint8)[:, 0].numpy()
        if self._model.tone_curve is not None:
            pixels = self._model.tone_curve(pixels)
        ends = np.cumsum([n for n, _ in asked])
        return [_png(part) for part in np.split(pixels, ends[:-1])]

    def _noise(self, n: int, seed: int) -> torch.Tensor:
        return torch.randn(n, self._model.metadata.z_dim, generator=torch.Generator().manual_seed(seed))


class PlainScores:
    """Scores images with the D of the model folder that the environment variable PLAIN_MODEL names."""

    def __init__(self) -> None:
        self._discriminator = _model().discriminator

    def __call__(self, files: Sequence[bytes]) -> list[dict[str, float]]:
        """Return D's logit and probability of each file, a grey image of D's size."""
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(data)).convert("L")) for data in files])
        with torch.no_grad():
            logits = self._discriminator(torch.from_numpy(pixels)[:, None] / 127.5 - 1)
        scores = zip(logits.tolist(), logits.sigmoid().tolist(), strict=True)
        return [{"logit": logit, "probability": probability} for logit, probability in scores]


@cache
def _model() -> LoadedModel:
    return load_model(Path(os.environ["PLAIN_MODEL"]))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode images [n, H, W] uint8, side by side, as a PNG."""
    n, height, width = pixels.shape
    columns = default_columns(n)
    grid = np.zeros((-(-n // columns) * height, columns * width), dtype=np.uint8)
    for k, picture in enumerate(pixels):
        top, left = k // columns * height, k % columns * width
        grid[top : top + height, left : left + width] = picture
    buffer = io.BytesIO()
    Image.fromarray(grid).save(buffer, format="PNG")
    return buffer.getvalue()
