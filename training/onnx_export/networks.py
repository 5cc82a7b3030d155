"""The networks that are written as ONNX files: those of the model folder, with what the service does around them."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import torch
from torch import nn

from models.model_folder.loaded_model import LoadedModel
from models.networks.conditional import Ballots, ballots_of
from models.networks.folding import fold_batchnorm
from models.networks.frozen import frozen_copy

ImageType: TypeAlias = Literal["uint8", "float"]
"""The images of G: grey levels as the service sends them, or G's own values in [−1, 1]."""

NO_CLASS = -1
"""The input `class` of a row whose latent chooses the class."""


class ClassChoice(nn.Module):
    """Change latents so that they choose the requested classes: [N, z_dim] float32, [N] int64 → [N, z_dim] float32.

    It computes `models.networks.conditional.ask_for_class` with operators that ONNX has. A class of `NO_CLASS` leaves
    its latent as it is. A class that G does not have becomes an index that is out of range, which ONNX Runtime refuses.

    Args:
        ballots: the first layer of G.
    """

    head_starts: torch.Tensor

    def __init__(self, ballots: Ballots) -> None:
        super().__init__()
        self.register_buffer("head_starts", ballots.head_starts)

    def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        classes = len(self.head_starts)
        ballots = latents[:, -classes:]
        largest = (ballots + self.head_starts).argmax(dim=1)
        asked = torch.where(labels < NO_CLASS, classes, labels)
        asked = torch.where(labels == NO_CLASS, largest, asked)
        ahead = (self.head_starts.index_select(0, largest) - self.head_starts.index_select(0, asked))[:, None]
        largest, asked = largest[:, None], asked[:, None]
        of_largest, of_asked = ballots.gather(1, largest), ballots.gather(1, asked)
        swapped = ballots.scatter(1, largest, of_asked - ahead).scatter(1, asked, of_largest + ahead)
        return torch.cat([latents[:, :-classes], swapped], dim=1)


class GreyLevels(nn.Module):
    """Round images in [−1, 1] to grey levels, as `models.images.to_uint8` does: float32 → uint8, of the same shape.

    Args:
        tone_curve: the model's tone curve, 256 grey levels; None if it has none.
    """

    tone_curve: torch.Tensor | None

    def __init__(self, tone_curve: tuple[int, ...] | None) -> None:
        super().__init__()
        curve = None if tone_curve is None else torch.tensor(tone_curve, dtype=torch.uint8)
        self.register_buffer("tone_curve", curve)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        levels = ((images.clamp(-1, 1) + 1) * 127.5).round()
        if self.tone_curve is None:
            return levels.to(torch.uint8)
        return self.tone_curve.index_select(0, levels.to(torch.int64).flatten()).view(images.shape)


class DrawingNetwork(nn.Module):
    """G from its latents to its images: [N, z_dim] float32, and [N] int64 if G has classes → [N, C, H, W].

    Args:
        model: the model folder.
        images: uint8 for grey levels 0 … 255 after the tone curve; float for G's values, float32 in [−1, 1].
    """

    def __init__(self, model: LoadedModel, images: ImageType) -> None:
        super().__init__()
        self.choice = ClassChoice(ballots_of(model.generator)) if model.metadata.classes else None
        self.generator = fold_batchnorm(model.generator)
        self.levels = GreyLevels(model.metadata.tone_curve) if images == "uint8" else nn.Identity()
        self.eval()

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        if self.choice is not None:
            latents = self.choice(latents, labels)
        images: torch.Tensor = self.levels(self.generator(latents))
        return images


def drawing_inputs(model: LoadedModel) -> Mapping[str, torch.Tensor]:
    """Return two rows of each input of `DrawingNetwork`, by the input's name in the file."""
    inputs = {"latents": torch.zeros(2, model.metadata.z_dim)}
    if model.metadata.classes:
        inputs["class"] = torch.full((2,), NO_CLASS)
    return inputs


def judging(model: LoadedModel) -> nn.Module:
    """Return D, [N, C, H, W] float32 in [−1, 1] → logits [N], in evaluation mode and without gradients."""
    return frozen_copy(model.discriminator)


def judging_inputs(model: LoadedModel) -> Mapping[str, torch.Tensor]:
    """Return two rows of the input of D, by its name in the file."""
    return {"images": torch.zeros(2, *model.metadata.image_shape.chw)}
