"""A model folder in memory after all checks: its networks, its metadata and its training history."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from models.latents import draw_latents
from models.model_folder.history import History
from models.model_folder.metadata import Metadata
from models.networks.conditional import ask_for_class, ballots_of, check_class
from models.tone_curve import ToneCurve

HASH_DIGITS = 12


@dataclass(frozen=True)
class TimelineEntry:
    """One picture of the timeline, which shows G's images of the same latents after `epoch` epochs (0: untrained).

    Attributes:
        epoch: the number of epochs.
        path: the PNG file.
        sha256: SHA-256 of the file when the model folder was read, 64 hexadecimal digits.
    """

    epoch: int
    path: Path
    sha256: str


@dataclass(frozen=True)
class LoadedModel:
    """A model folder that passed every check. The networks are in evaluation mode, on the CPU.

    Attributes:
        name: the folder's name, which is the model's.
        path: the folder.
        sha256: SHA-256 of model.safetensors, 64 hexadecimal digits.
        metadata: the model's metadata.
        generator: G, [N, z_dim] float32 → [N, C, H, W] in [−1, 1].
        discriminator: D, [N, C, H, W] float32 in [−1, 1] → logits [N].
        encoder: the encoder, [N, C, H, W] float32 in [−1, 1] → latents [N, z_dim], or None if the model has none.
        history: the training history.
        timeline: pictures of the training, in the order of their epochs.
        card: the text of CARD.md.
    """

    name: str
    path: Path
    sha256: str
    metadata: Metadata
    generator: nn.Module
    discriminator: nn.Module
    encoder: nn.Module | None
    history: History
    timeline: tuple[TimelineEntry, ...]
    card: str

    @property
    def hash12(self) -> str:
        """The model's version: the first 12 hexadecimal digits of the SHA-256 of model.safetensors."""
        return self.sha256[:HASH_DIGITS]

    @property
    def reference(self) -> str:
        """The model's name and version, `name@hash`, which always stands for exactly these weights."""
        return f"{self.name}@{self.hash12}"

    @property
    def tone_curve(self) -> ToneCurve | None:
        """The table that replaces the grey levels of G's images; None if they stay as they are."""
        levels = self.metadata.tone_curve
        return None if levels is None else ToneCurve(levels)

    @property
    def head_starts(self) -> NDArray[np.float32]:
        """The head starts of a conditional G, [K] float32: constants that set the frequencies of its classes."""
        starts: NDArray[np.float32] = ballots_of(self.generator).head_starts.numpy()
        return starts

    def draw_latents(
        self, seed: int, first: int, n: int, *, truncation: float = 1.0, label: int | None = None
    ) -> NDArray[np.float32]:
        """Draw the latents of images first … first + n − 1 of a seed from this model's prior.

        Args:
            seed: the seed, 0 ≤ seed < 2⁵³.
            first: index of the first image; first + n ≤ 2⁵³.
            n: number of images, ≥ 1.
            truncation: the factor ψ in (0, 1], as in `models.latents.draw_latents`. It never changes an image's class.
            label: the class that all images must show; None leaves the latents as they are drawn.

        Returns:
            [n, z_dim] float32. Row k depends only on the model, seed, first + k, truncation and label.

        Raises:
            LatentError: the seed, the indices or the truncation are out of range.
            ClassError: the model has no such class.
        """
        metadata = self.metadata
        check_class(label, classes=metadata.classes)
        latents = draw_latents(
            seed,
            first,
            n,
            z_dim=metadata.z_dim,
            prior=metadata.prior,
            truncation=truncation,
            ballots=metadata.ballots,
        )
        return latents if label is None else ask_for_class(latents, label, head_starts=self.head_starts)
