"""The sampler turns latents into images. An image has the same bits whatever latents are computed with its own."""

import copy
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.errors import LatentError
from models.images import ImageShape, to_uint8
from models.inference.integer_generator import TILE_ROWS, in_integers
from models.inference.quick_layers import with_quick_layers
from models.inference.tiles import OTHER_TILE_ROWS, PADDED_ROWS, Tiled
from models.model_folder.loaded_model import LoadedModel
from models.networks.folding import fold_batchnorm
from models.tone_curve import ToneCurve


class Sampler:
    """Runs G in tiles, with its batch normalisation folded. A quantised G runs in integers if possible.

    It keeps no state between calls, so several threads may call it at once; PyTorch uses one thread for each call.

    Args:
        generator: G, [N, z_dim] float32 → [N, C, H, W] in [−1, 1]; copied, not changed.
        z_dim: width of a latent.
        image_shape: shape of G's images.
        device: the device to run on.
        tone_curve: the table that replaces the grey levels of G's images; None leaves them as they are.
        shares_weights: whether the copy's weights share the memory of those of `generator`, which must then not change.

    Attributes:
        generator: the copy of G with its batch normalisation folded, on the device; `Projector` differentiates it.
        tone_curve: the tone curve, or None.
        integers: G in integer arithmetic; None if G runs in floating point.
        rows_at_once: the most latents that one call should have while other calls wait, so that they do not wait long.
    """

    def __init__(
        self,
        generator: nn.Module,
        *,
        z_dim: int,
        image_shape: ImageShape,
        device: torch.device | str = "cpu",
        tone_curve: ToneCurve | None = None,
        shares_weights: bool = False,
    ) -> None:
        self.z_dim = z_dim
        self.image_shape = image_shape
        self.device = torch.device(device)
        self.tone_curve = tone_curve
        self.generator = fold_batchnorm(generator if shares_weights else copy.deepcopy(generator)).to(self.device)
        self.integers = in_integers(self.generator, z_dim=z_dim) if self.device.type == "cpu" else None
        if self.integers is None:
            self.rows_at_once = PADDED_ROWS
            network = with_quick_layers(self.generator)
            self._tiled = Tiled(network, row_shape=(z_dim,), tried=OTHER_TILE_ROWS, device=self.device)
        else:
            self.rows_at_once = self.integers.rows_at_once
            tried = tuple(rows for rows in TILE_ROWS if rows <= self.rows_at_once)
            self._tiled = Tiled(self.integers.images, row_shape=(z_dim,), dtype=torch.uint8, tried=tried)

    @classmethod
    def of_model(cls, model: LoadedModel, *, device: torch.device | str = "cpu") -> "Sampler":
        """Make a sampler for the G of a model folder. On the CPU every such sampler gives the same pixels."""
        metadata = model.metadata
        return cls(
            model.generator,
            z_dim=metadata.z_dim,
            image_shape=metadata.image_shape,
            device=device,
            tone_curve=model.tone_curve,
            shares_weights=True,
        )

    @property
    def arithmetic(self) -> Literal["int8", "float32"]:
        """How G computes on this machine: in whole numbers of 8 bits, or in floating point."""
        return "float32" if self.integers is None else "int8"

    def __call__(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Draw images [n, H, W] (grey) or [n, H, W, 3] (RGB) uint8 from latents [n, z_dim] float32, n ≥ 1.

        Raises:
            LatentError: the latents have another shape.
        """
        return self.of_inputs(self._inputs(latents))

    def of_inputs(self, inputs: torch.Tensor) -> NDArray[np.uint8]:
        """Draw images from inputs of the network [n, z_dim].

        Args:
            inputs: the latents, float32; if G runs in integers, `IntegerNetwork.whole` of them, uint8.
        """
        in_bytes = to_uint8 if self.integers is None else self.integers.in_bytes
        pieces = [in_bytes(piece) for piece in self._tiled.each(inputs)]
        images = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return images if self.tone_curve is None else self.tone_curve(images)

    def before_rounding(self, latents: NDArray[np.float32]) -> torch.Tensor:
        """Return G's values before they are rounded to pixels, without the tone curve: [n, C, H, W] float32 in [−1, 1].

        They may differ between two machines even if the pixels are equal.

        Raises:
            LatentError: the latents have another shape.
        """
        return self._tiled(self._inputs(latents))

    def _inputs(self, latents: NDArray[np.float32]) -> torch.Tensor:
        if latents.ndim != 2 or latents.shape[0] < 1 or latents.shape[1] != self.z_dim:
            raise LatentError(f"latents must have the shape [n, {self.z_dim}], n ≥ 1, not {list(latents.shape)}")
        if self.integers is not None:
            return torch.from_numpy(self.integers.whole(np.asarray(latents, dtype=np.float32)))
        return torch.as_tensor(latents, dtype=torch.float32, device=self.device)
