"""Writing a model folder, completely or not at all, and only to a path that `destination` allows."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from models.files import TEMPORARY_SUFFIX, replace_folder, sync_folder, write_atomically
from models.lock import only_writer_of_model
from models.model_folder.destination import check_destination
from models.model_folder.format import (
    CARD_FILE,
    FEATURES_FILE,
    HEADER_LENGTH,
    HISTORY_FILE,
    TIMELINE_FOLDER,
    WEIGHTS_FILE,
)
from models.model_folder.history import History
from models.model_folder.metadata import Metadata
from models.model_folder.read import build_on_meta


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
    features: bytes | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model folder completely or not at all. It replaces a model folder at `path` (`check_destination`).

    The bytes of model.safetensors depend only on the metadata and the weights.

    Args:
        path: the folder; its name becomes the model's name.
        metadata: the model's metadata.
        generator: G; its weights are written as they are.
        discriminator: D; its weights are written as they are.
        history: the training history.
        timeline: the pictures of the timeline, as PNG bytes by epoch.
        card: the text of CARD.md, in Markdown.
        encoder: the encoder, with the sizes in the metadata; None if the metadata has no encoder.
        features: the contents of features.safetensors; None: the folder gets no such file.
        dtype: dtype of the weights in the file, float32 or float16. float16 takes half the space, and is converted to
            float32 when it is loaded.

    Raises:
        ModelNameError: the folder's name cannot be a model's name.
        ModelDestinationError: something other than a model folder is at `path`, or another process writes a model
            there.
        ValueError: the metadata do not describe these networks, or only one of them and `encoder` has an encoder.
        OSError: the disk is full or cannot be written; what was at `path` stays.
    """
    check_destination(path)
    weights = serialise_weights(metadata, generator, discriminator, encoder, dtype=dtype)
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    with only_writer_of_model(path):
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            (temporary / TIMELINE_FOLDER).mkdir(parents=True)
            write_atomically(temporary / WEIGHTS_FILE, weights)
            write_atomically(temporary / HISTORY_FILE, (history.model_dump_json(indent=1) + "\n").encode())
            write_atomically(temporary / CARD_FILE, card.encode())
            if features is not None:
                write_atomically(temporary / FEATURES_FILE, features)
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
    """Return the bytes of model.safetensors. Equal metadata and weights give equal bytes in every process.

    Args:
        metadata: the model's metadata.
        generator: the network G.
        discriminator: the network D.
        encoder: the encoder, or None.
        dtype: dtype of the tensors in the file, float32 or float16.

    Raises:
        ValueError: the metadata do not describe these networks, or only one of them and `encoder` has an encoder.
    """
    if (encoder is None) != (metadata.encoder is None):
        raise ValueError(f"the metadata say encoder={metadata.encoder}, but the encoder given is {encoder}")
    networks = {"generator": generator, "discriminator": discriminator} | ({"encoder": encoder} if encoder else {})
    for side, described in build_on_meta(metadata).items():
        _check_shapes(side, networks[side], described)
    tensors = {
        f"{side}.{name}": tensor.detach().to("cpu", dtype).contiguous()
        for side, network in networks.items()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()  # BatchNorm's integer counter of batches is not needed after training
    }
    return sort_metadata(save(tensors, metadata.to_strings()))


def _check_shapes(side: str, network: nn.Module, described: nn.Module) -> None:
    """Check that a network is the one that the metadata describe; otherwise the written model could not be read.

    Raises:
        ValueError: a tensor is missing, is not in the metadata's network, or has another shape.
    """
    has, wanted = ({name: tuple(t.shape) for name, t in n.state_dict().items()} for n in (network, described))
    if has != wanted:
        names = sorted(name for name in has.keys() | wanted.keys() if has.get(name) != wanted.get(name))
        raise ValueError(f"the metadata describe another {side}: {', '.join(names[:5])} differ")


def sort_metadata(data: bytes) -> bytes:
    """Sort the metadata of a safetensors file by name, because the library writes them in random order."""
    (length,) = HEADER_LENGTH.unpack_from(data)
    start = HEADER_LENGTH.size + length
    header = json.loads(data[HEADER_LENGTH.size : start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format's own alignment
    return HEADER_LENGTH.pack(len(text)) + text + data[start:]
