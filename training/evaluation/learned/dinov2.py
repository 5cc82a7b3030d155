"""Features of DINOv2, a network that has seen 142 million pictures: those of FD-DINOv2.

The features are the class token of a vision transformer (Oquab et al. 2023, arXiv 2304.07193; Dosovitskiy et al. 2021,
arXiv 2010.11929) of images that are enlarged to 224 × 224. Stein et al. 2023 (arXiv 2306.04675) found that Fréchet
distances in them agree best with what people say; they use the weights of ViT-L/14.

The weights come from a local safetensors file. Its names may be those of the authors' code or of Hugging Face's
package transformers. It was tested on a small network with random weights, but never run with the real weights.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn import functional

from training.errors import DataError
from training.evaluation.features import DINOV2_FEATURES, Features

SIDE = 224
"""Height and width in pixels of the images that the network is given."""

HEAD_WIDTH = 64
"""Every DINOv2 has this many numbers in a head of its attention."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue, in [0, 1]
_EPSILON = 1e-6
_BLOCK = 32  # images per pass
_OFFSET = 0.1  # the authors add it to the number of patches, to resize the position embedding

Tensors = Mapping[str, torch.Tensor]

_OTHER_NAMES = (
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^layernorm\.", "norm."),
    (r"^encoder\.layer\.(\d+)\.", r"blocks.\1."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
)
"""Names of the package transformers, as patterns, and the authors' names in their place."""


class DINOv2:
    """A DINOv2, as an extractor of features (`training.evaluation.features.Extractor`).

    Args:
        tensors: the weights, by the authors' names.

    Raises:
        DataError: tensors are missing or have wrong shapes.
    """

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._check()

    @property
    def figures(self) -> Mapping[str, float]:
        """The number of features, which says which DINOv2 it is: 384 (S), 768 (B) or 1,024 (L)."""
        return {DINOV2_FEATURES: float(self._width)}

    @torch.no_grad()
    def extract(self, images: torch.Tensor) -> Features:
        """Extract the features of pictures [N, C, H, W] uint8: [N, F] float32. Grey pictures get three channels."""
        return Features(torch.cat([self.class_tokens(prepare(block)) for block in torch.split(images, _BLOCK)]), None)

    def class_tokens(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the normalised class token of each image: [N, 3, S, S] in ImageNet's scale → [N, F]."""
        patches = functional.conv2d(images, *self._layer("patch_embed.proj"), stride=self._patch)
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat([self._tensors["cls_token"].expand(len(images), -1, -1), tokens], dim=1)
        tokens = tokens + self._positions(patches.shape[-1])
        for block in range(self._depth):
            tokens = self._block(tokens, f"blocks.{block}")
        return self._norm(tokens, "norm")[:, 0]

    def _block(self, tokens: torch.Tensor, name: str) -> torch.Tensor:
        tokens = tokens + self._tensors[f"{name}.ls1.gamma"] * self._attention(
            self._norm(tokens, f"{name}.norm1"), name
        )
        hidden = functional.linear(self._norm(tokens, f"{name}.norm2"), *self._layer(f"{name}.mlp.fc1"))
        out = functional.linear(functional.gelu(hidden), *self._layer(f"{name}.mlp.fc2"))
        return tokens + self._tensors[f"{name}.ls2.gamma"] * out

    def _attention(self, tokens: torch.Tensor, name: str) -> torch.Tensor:
        n, length, width = tokens.shape
        qkv = functional.linear(tokens, *self._layer(f"{name}.attn.qkv"))
        query, key, value = qkv.view(n, length, 3, -1, HEAD_WIDTH).permute(2, 0, 3, 1, 4)  # each [N, heads, length, 64]
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return functional.linear(mixed.transpose(1, 2).reshape(n, length, width), *self._layer(f"{name}.attn.proj"))

    def _positions(self, places: int) -> torch.Tensor:
        """Return the position embedding for `places` × `places` patches: [1, 1 + places², F]."""
        embedding = self._tensors["pos_embed"]
        if places == self._places:
            return embedding
        grid = embedding[:, 1:].reshape(1, self._places, self._places, -1).permute(0, 3, 1, 2)
        scale = (places + _OFFSET) / self._places
        grid = functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat([embedding[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)

    def _norm(self, tokens: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(tokens, tokens.shape[-1:], *self._layer(name), eps=_EPSILON)

    def _layer(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]

    def _check(self) -> None:
        """Find out the sizes, and check that all tensors are there, with the right shapes and finite."""
        cls_token, positions = self._tensors.get("cls_token"), self._tensors.get("pos_embed")
        patches = self._tensors.get("patch_embed.proj.weight")
        if cls_token is None or positions is None or patches is None or patches.ndim != 4 or positions.ndim != 3:
            raise DataError(
                "these are not the weights of a DINOv2, because cls_token, pos_embed or patch_embed.proj.weight is "
                "missing or has a wrong shape: give the file of a DINOv2 without registers"
            )
        self._width, self._patch = cls_token.shape[-1], patches.shape[-1]
        self._places = math.isqrt(positions.shape[1] - 1)
        numbers = [int(found[1]) for name in self._tensors if (found := re.match(r"blocks\.(\d+)\.", name))]
        self._depth = min(max(numbers, default=-1) + 1, len(self._tensors))
        wanted = self._shapes()
        has = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}
        if self._width % HEAD_WIDTH or wanted != has:
            names = sorted(name for name in wanted.keys() | has.keys() if wanted.get(name) != has.get(name))
            raise DataError(
                f"these are not the weights of a DINOv2 that can be used: {', '.join(names[:5]) or 'the width'} "
                f"({len(names)} in all) is missing, unexpected or has a wrong shape: give the file of ViT-S, ViT-B or "
                "ViT-L without registers"
            )
        if not all(tensor.isfinite().all() for tensor in self._tensors.values()):
            raise DataError("a weight of the DINOv2 is NaN or infinite: get the file again")

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        f, p = self._width, self._patch
        shapes: dict[str, tuple[int, ...]] = {
            "cls_token": (1, 1, f),
            "pos_embed": (1, 1 + self._places**2, f),
            "patch_embed.proj.weight": (f, 3, p, p),
            "patch_embed.proj.bias": (f,),
            "norm.weight": (f,),
            "norm.bias": (f,),
        }
        for block in range(self._depth):
            sizes = {"attn.qkv": (3 * f, f), "attn.proj": (f, f), "mlp.fc1": (4 * f, f), "mlp.fc2": (f, 4 * f)}
            for layer, (fan_out, fan_in) in sizes.items():
                shapes |= {
                    f"blocks.{block}.{layer}.weight": (fan_out, fan_in),
                    f"blocks.{block}.{layer}.bias": (fan_out,),
                }
            shapes |= {f"blocks.{block}.norm{i}.{kind}": (f,) for i in (1, 2) for kind in ("weight", "bias")}
            shapes |= {f"blocks.{block}.ls{i}.gamma": (f,) for i in (1, 2)}
        return shapes


def prepare(images: torch.Tensor) -> torch.Tensor:
    """Enlarge pictures [N, C, H, W] uint8 to [N, 3, 224, 224] float32 with ImageNet's mean and deviation.

    They are resized by bicubic interpolation with antialiasing and rounded to whole grey levels, as Pillow does it in
    the code of Stein et al.
    """
    images = images.float().expand(-1, 3, -1, -1)
    images = functional.interpolate(images, size=(SIDE, SIDE), mode="bicubic", antialias=True).round().clamp(0, 255)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
    return (images / 255 - mean) / deviation


def read_dinov2(path: Path) -> DINOv2:
    """Read the weights of a DINOv2.

    Args:
        path: a safetensors file with the authors' names or those of the package transformers, float32 or float16.

    Raises:
        DataError: the file cannot be read, or holds no DINOv2.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"{path} cannot be read as a safetensors file ({error}): give the weights of a DINOv2, such as "
            "model.safetensors of facebook/dinov2-large on Hugging Face"
        ) from error
    try:
        return DINOv2(by_the_authors_names(tensors))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def by_the_authors_names(tensors: Tensors) -> dict[str, torch.Tensor]:
    """Return the tensors with the authors' names, float32; those that features do not need are left out."""
    renamed: dict[str, torch.Tensor] = {}
    for old, tensor in tensors.items():
        name = old.removeprefix("dinov2.")
        for pattern, replacement in _OTHER_NAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor.to(torch.float32, copy=True)  # the file may change, and it is only mapped
    parts = [name for name in renamed if ".attention.attention.query." in name]
    for query in parts:
        three = [query.replace("query", part) for part in ("query", "key", "value")]
        if all(name in renamed for name in three):
            joined = torch.cat([renamed.pop(name) for name in three])
            renamed[query.replace("attention.attention.query", "attn.qkv")] = joined
    return {name: tensor for name, tensor in renamed.items() if not name.endswith("mask_token")}
