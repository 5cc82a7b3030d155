"""DINOv2 on a tiny stand-in with random weights: against PyTorch's own layers, by both namings, and bad files."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from training.errors import DataError
from training.evaluation.learned.dinov2 import DINOv2, by_the_authors_names, prepare, read_dinov2

F, HEADS, DEPTH, PATCH, PLACES = 128, 2, 2, 14, 5


def stand_in() -> dict[str, torch.Tensor]:
    """Return weights by the authors' names: 128 features, two heads, two blocks, 5 × 5 patches."""
    rng = torch.Generator().manual_seed(0)

    def random(*shape: int, scale: float = 0.1) -> torch.Tensor:
        return scale * torch.randn(shape, generator=rng)

    tensors = {
        "cls_token": random(1, 1, F),
        "mask_token": random(1, F),
        "pos_embed": random(1, 1 + PLACES**2, F),
        "patch_embed.proj.weight": random(F, 3, PATCH, PATCH, scale=0.02),
        "patch_embed.proj.bias": random(F),
        "norm.weight": 1 + random(F),
        "norm.bias": random(F),
    }
    sizes = {"attn.qkv": (3 * F, F), "attn.proj": (F, F), "mlp.fc1": (4 * F, F), "mlp.fc2": (F, 4 * F)}
    for block in range(DEPTH):
        for layer, size in sizes.items():
            tensors |= {
                f"blocks.{block}.{layer}.weight": random(*size),
                f"blocks.{block}.{layer}.bias": random(size[0]),
            }
        for i in (1, 2):
            tensors |= {
                f"blocks.{block}.norm{i}.weight": 1 + random(F),
                f"blocks.{block}.norm{i}.bias": random(F),
                f"blocks.{block}.ls{i}.gamma": 1 + random(F),
            }
    return tensors


def by_other_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors as the package transformers names them."""
    renamed = {}
    for name, tensor in tensors.items():
        if ".attn.qkv." in name:
            block, kind = name.split(".")[1], name.split(".")[-1]
            for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[f"encoder.layer.{block}.attention.attention.{part}.{kind}"] = third.contiguous()
            continue
        new = name.replace("blocks.", "encoder.layer.").replace(".attn.proj.", ".attention.output.dense.")
        new = re.sub(r"\.ls([12])\.gamma", r".layer_scale\1.lambda1", new)
        new = re.sub(r"^norm\.", "layernorm.", new)
        new = re.sub(r"^(cls_token|mask_token)$", r"embeddings.\1", new)
        new = new.replace("pos_embed", "embeddings.position_embeddings")
        renamed[new.replace("patch_embed.proj", "embeddings.patch_embeddings.projection")] = tensor
    return renamed


def by_layers_of_pytorch(tensors: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """Compute the class token in float64, patch by patch, with PyTorch's own attention."""
    t = {name: tensor.double() for name, tensor in tensors.items()}
    patches = [
        (t["patch_embed.proj.weight"] * patch[:, None]).sum(dim=(2, 3, 4)) + t["patch_embed.proj.bias"]
        for row in images.double().split(PATCH, dim=2)
        for patch in row.split(PATCH, dim=3)
    ]
    x = torch.stack([t["cls_token"][0].expand(len(images), -1), *patches], dim=1) + t["pos_embed"]
    for block in range(DEPTH):
        b = {name.removeprefix(f"blocks.{block}."): tensor for name, tensor in t.items()}
        attention = nn.MultiheadAttention(F, HEADS, batch_first=True).double()
        attention.load_state_dict(
            {
                "in_proj_weight": b["attn.qkv.weight"],
                "in_proj_bias": b["attn.qkv.bias"],
                "out_proj.weight": b["attn.proj.weight"],
                "out_proj.bias": b["attn.proj.bias"],
            }
        )
        h = functional.layer_norm(x, (F,), b["norm1.weight"], b["norm1.bias"], 1e-6)
        x = x + b["ls1.gamma"] * attention(h, h, h, need_weights=False)[0]
        h = functional.layer_norm(x, (F,), b["norm2.weight"], b["norm2.bias"], 1e-6)
        h = h @ b["mlp.fc1.weight"].T + b["mlp.fc1.bias"]
        h = h * 0.5 * (1 + torch.erf(h / 2**0.5))
        x = x + b["ls2.gamma"] * (h @ b["mlp.fc2.weight"].T + b["mlp.fc2.bias"])
    return functional.layer_norm(x, (F,), t["norm.weight"], t["norm.bias"], 1e-6)[:, 0].detach()


def test_the_class_token_is_that_of_pytorchs_layers():
    tensors = stand_in()
    images = torch.randn(3, 3, PLACES * PATCH, PLACES * PATCH, generator=torch.Generator().manual_seed(1))
    seen = DINOv2(by_the_authors_names(tensors)).class_tokens(images)
    wanted = by_layers_of_pytorch(tensors, images)
    assert seen.dtype == torch.float32
    torch.testing.assert_close(seen.double(), wanted, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_any_size_have_features(channels: int, tmp_path: Path):
    images = torch.randint(0, 256, (3, channels, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = []
    for name, tensors in (("authors", stand_in()), ("others", by_other_names(stand_in()))):
        save_file(tensors, tmp_path / name)
        network = read_dinov2(tmp_path / name)
        assert network.figures == {"dinov2_features": float(F)}
        found.append(network.extract(images))
    assert found[0].labels is None
    assert found[0].values.shape == (3, F)
    assert torch.equal(found[0].values, found[1].values)
    alone = network.extract(images[1:2]).values
    torch.testing.assert_close(alone[0], found[0].values[1], atol=1e-4, rtol=1e-4)


def test_positions_between_patches_are_interpolated():
    tensors = by_the_authors_names(stand_in())
    rows = torch.arange(PLACES).float()[:, None].expand(PLACES, PLACES).reshape(1, -1, 1)
    tensors["pos_embed"] = torch.cat([torch.full((1, 1, F), 9.0), rows.expand(1, -1, F)], dim=1)
    seen = DINOv2(tensors)._positions(16)
    assert seen.shape == (1, 1 + 16**2, F)
    assert (seen[0, 0] == 9).all()
    grid = seen[0, 1:, 0].view(16, 16)
    torch.testing.assert_close(grid, grid[:, :1].expand(16, 16))  # the same along each row
    assert (grid[3:-3, 0].diff() > 0).all()
    assert float(grid.mean()) == pytest.approx(2, abs=0.1)


def test_pictures_are_enlarged_as_pillow_does():
    import numpy as np
    from PIL import Image

    rng = torch.Generator().manual_seed(0)
    images = torch.randint(
        64, 192, (2, 3, 32, 32), generator=rng, dtype=torch.uint8
    )  # Pillow cuts off overshoots twice
    seen = prepare(images)
    assert seen.shape == (2, 3, 224, 224)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for image, of in zip(images, seen, strict=True):
        large = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((224, 224), Image.Resampling.BICUBIC)
        wanted = (np.asarray(large) / 255 - mean) / deviation
        difference = np.abs(of.permute(1, 2, 0).numpy() - wanted)
        assert difference.max() < 1.6 / 255 / 0.224  # one grey level, where a half was rounded otherwise
        assert difference.mean() < 0.25 / 255 / 0.224


def test_files_that_hold_no_dinov2_are_refused(tmp_path: Path):
    path = tmp_path / "weights.safetensors"

    def refused(message: str) -> None:
        with pytest.raises(DataError, match=message):
            read_dinov2(path)

    refused("cannot be read as a safetensors file")
    path.write_bytes(b"no weights")
    refused("cannot be read as a safetensors file")
    save_file({"a": torch.zeros(1)}, path)
    refused("these are not the weights of a DINOv2, because cls_token, pos_embed or patch_embed.proj.weight is missing")
    good = stand_in()
    save_file({name: tensor for name, tensor in good.items() if name != "blocks.1.ls2.gamma"}, path)
    refused(r"blocks\.1\.ls2\.gamma \(1 in all\) is missing, unexpected or has a wrong shape")
    save_file(good | {"register_tokens": torch.zeros(1, 4, F)}, path)
    refused(r"register_tokens \(1 in all\)")
    save_file(good | {"blocks.999999999.norm1.bias": torch.zeros(F)}, path)
    refused("is missing, unexpected or has a wrong shape")
    save_file(good | {"norm.bias": torch.full((F,), float("nan"))}, path)
    refused("a weight of the DINOv2 is NaN or infinite")
    save_file(good, path)
    assert read_dinov2(path).figures == {"dinov2_features": 128.0}
