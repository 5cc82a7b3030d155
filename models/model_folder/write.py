"""Writing a model folder: whole or not at all, and only where `destination` allows it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from models.files import TEMPORARY_SUFFIX, replace_folder, sync_folder, write_atomically
from models.model_folder.destination import check_destination
from models.model_folder.format import (
    CARD_FILE,
    HEADER_LENGTH,
    HISTORY_FILE,
    TIMELINE_FOLDER,
    WEIGHTS_FILE,
)
from models.model_folder.history import History
from models.model_folder.metadata import Metadata


def write_model(
    path: Path,
    *,
    metadata: Metadata,
    generator: nn.Module,
    discriminator: nn.Module,
    history: History,
    timeline: Mapping[int, bytes],
    card: str,
    encoder: nn.Module | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model folder, whole or not at all, in place of the one that may be there (`check_destination`).

    The bytes of model.safetensors depend on the metadata and the weights alone.

    Args:
        path: the folder; its name becomes the model's name.
        metadata: what the model says about itself.
        generator: G; its weights are written as they are.
        discriminator: D, likewise.
        history: one record an epoch.
        timeline: PNG bytes by epoch.
        card: Markdown.
        encoder: the encoder, of the sizes in the metadata; None where the metadata has none.
        dtype: of the weights in the file, float32 or float16 (half the bytes; they are float32 again once loaded).

    Raises:
        ModelNameError: the folder's name cannot be a model's name.
        ModelDestinationError: something other than a model folder is there.
        ValueError: the metadata and `encoder` disagree on whether there is one.
        OSError: the disk is full or cannot be written; what was there stays.
    """
    check_destination(path)
    weights = serialise_weights(metadata, generator, discriminator, encoder, dtype=dtype)
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        (temporary / TIMELINE_FOLDER).mkdir(parents=True)
        write_atomically(temporary / WEIGHTS_FILE, weights)
        write_atomically(temporary / HISTORY_FILE, (history.model_dump_json(indent=1) + "\n").encode())
        write_atomically(temporary / CARD_FILE, card.encode())
        for epoch, picture in timeline.items():
            write_atomically(temporary / TIMELINE_FOLDER / f"{epoch:05d}.png", picture)
        sync_folder(temporary)
        replace_folder(temporary, path)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def serialise_weights(
    metadata: Metadata,
    generator: nn.Module,
    discriminator: nn.Module,
    encoder: nn.Module | None = None,
    *,
    dtype: torch.dtype = torch.float32,
) -> bytes:
    """The bytes of model.safetensors: the same for the same metadata and weights, in every process.

    Args:
        metadata: what the model says about itself.
        generator: G.
        discriminator: D.
        encoder: the encoder, or None.
        dtype: of the tensors in the file, float32 or float16.

    Raises:
        ValueError: the metadata and `encoder` disagree on whether there is one.
    """
    if (encoder is None) != (metadata.encoder is None):
        raise ValueError(f"the metadata say encoder={metadata.encoder}, the network handed in is {encoder}")
    networks = {"generator": generator, "discriminator": discriminator} | ({"encoder": encoder} if encoder else {})
    tensors = {
        f"{side}.{name}": tensor.detach().to("cpu", dtype).contiguous()
        for side, network in networks.items()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()  # BatchNorm's counter of batches has no use after training
    }
    return sort_metadata(save(tensors, metadata.to_strings()))


def sort_metadata(data: bytes) -> bytes:
    """Sort the metadata of a safetensors file by name: the library writes them in random order."""
    (length,) = HEADER_LENGTH.unpack_from(data)
    start = HEADER_LENGTH.size + length
    header = json.loads(data[HEADER_LENGTH.size : start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format's own alignment
    return HEADER_LENGTH.pack(len(text)) + text + data[start:]
