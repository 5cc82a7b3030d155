"""Helpers that write model folders again, and damage them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from models.model_folder.loaded_model import LoadedModel
from models.model_folder.write import write_model


def write_again(model: LoadedModel, path: Path, **changed: Any) -> None:
    """Write a loaded model without timeline and card; `changed` replaces arguments of `write_model`."""
    arguments = {
        "metadata": model.metadata,
        "generator": model.generator,
        "discriminator": model.discriminator,
        "encoder": model.encoder,
        "history": model.history,
        "timeline": {},
        "card": "",
    }
    write_model(path, **(arguments | changed))  # type: ignore[arg-type]


def with_tensors(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors of a safetensors file, and keep its metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    change(tensors)
    save_file(tensors, path, metadata)
