"""The model folder: how a trained model travels from `training` to `app`, and to anyone else.

    <name>/
      model.safetensors   `generator.*`, `discriminator.*` and, where the metadata says so, `encoder.*`, float32 or
                          float16; and the metadata
      history.json        one record an epoch
      timeline/*.png      the same latents drawn at recorded epochs; the file's name is the epoch
      CARD.md             a person's view

A folder is hostile until it is checked: no pickle, sizes before reading, every name, shape and dtype before a tensor
is used. Not checked: whether the pictures of the timeline decode, and whether G is any good.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import from_json
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from models.errors import (
    HistoryError,
    ModelDestinationError,
    ModelFileMissingError,
    ModelFolderError,
    ModelFolderNotFoundError,
    ModelNameError,
    ModelPathError,
    ModelTooLargeError,
    ModelUnreadableError,
    NetworkNotFiniteError,
    TensorDtypeError,
    TensorNamesError,
    TensorNotFiniteError,
    TensorRangeError,
    TensorShapeError,
    TimelineError,
)
from models.files import TEMPORARY_SUFFIX, replace_folder, sync_folder, write_atomically
from models.latents import draw_latents
from models.model_folder.history import History
from models.model_folder.metadata import Metadata, parse_metadata
from models.model_folder.untrusted_json import check_extent
from models.networks.build import build_networks
from models.networks.conditional import ask_for_class, ballots_of, check_class
from models.networks.quantised import check_quantised
from models.png_framing import SIGNATURE as PNG_SIGNATURE

WEIGHTS_FILE = "model.safetensors"
HISTORY_FILE = "history.json"
TIMELINE_FOLDER = "timeline"
CARD_FILE = "CARD.md"

MAX_WEIGHTS_BYTES = 512 * 2**20
MAX_HEADER_BYTES = 4 * 2**20
MAX_TEXT_BYTES = 16 * 2**20
MAX_PICTURE_BYTES = 16 * 2**20
MAX_TIMELINE_PICTURES = 10_000
PROBES = 16
"""Images that each network is tried with."""

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
HASH_DIGITS = 12

STORED_DTYPES = (torch.float32, torch.float16)

_HEADER_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class TimelineEntry:
    """One picture of the timeline: the fixed latents, drawn by G after `epoch` epochs (0: untrained)."""

    epoch: int
    path: Path


@dataclass(frozen=True)
class LoadedModel:
    """A model folder that passed every check. The networks are in evaluation mode, on the CPU."""

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
        """The first 12 hexadecimal digits of the SHA-256 of model.safetensors: the version of the model."""
        return self.sha256[:HASH_DIGITS]

    @property
    def reference(self) -> str:
        """`name@hash`, the permanent name of exactly these weights."""
        return f"{self.name}@{self.hash12}"

    @property
    def head_starts(self) -> NDArray[np.float32]:
        """What the G of a conditional model adds to the ballot of each class, [K] float32."""
        starts: NDArray[np.float32] = ballots_of(self.generator).head_starts.numpy()
        return starts

    def draw_latents(
        self, seed: int, first: int, n: int, *, truncation: float = 1.0, label: int | None = None
    ) -> NDArray[np.float32]:
        """The latents of images first … first + n − 1 of a seed, as this model's G is to have them.

        Args:
            seed: 0 ≤ seed < 2⁵³.
            first: index of the first image; first + n ≤ 2⁵³.
            n: how many images, ≥ 1.
            truncation: ψ in (0, 1], as in `models.latents.draw_latents`.
            label: the class that each latent is made to name; None leaves the latents as they are drawn.

        Returns:
            [n, z_dim] float32. Row k depends on the model, seed, first + k, truncation and label alone.

        Raises:
            LatentError: the seed, the images or the truncation are out of range.
            ClassError: the model has no such class.
        """
        metadata = self.metadata
        check_class(label, classes=metadata.classes)
        latents = draw_latents(seed, first, n, z_dim=metadata.z_dim, prior=metadata.prior, truncation=truncation)
        return latents if label is None else ask_for_class(latents, label, head_starts=self.head_starts)


def load_model(path: Path) -> LoadedModel:
    """Read and check a model folder.

    Raises:
        ModelFolderError: one of its kinds (see `models.errors`) for each way in which the folder can be bad.
    """
    if not path.is_dir():
        raise ModelFolderNotFoundError(f"{path} is not a folder")
    name = path.resolve().name
    if not re.fullmatch(NAME_PATTERN, name):
        raise ModelNameError(f"the folder's name {name!r} cannot be a model's name; rename it to match {NAME_PATTERN}")
    weights = _read(path, WEIGHTS_FILE, MAX_WEIGHTS_BYTES)
    _check_header_length(weights)
    with _unchanging(path / WEIGHTS_FILE, weights) as copy:
        metadata, networks = _parse_weights(copy)
    _probe(metadata, networks)
    return LoadedModel(
        name=name,
        path=path,
        sha256=hashlib.sha256(weights).hexdigest(),
        metadata=metadata,
        generator=networks["generator"],
        discriminator=networks["discriminator"],
        encoder=networks.get("encoder"),
        history=_parse_history(_read(path, HISTORY_FILE, MAX_TEXT_BYTES)),
        timeline=_list_timeline(path),
        card=_read(path, CARD_FILE, MAX_TEXT_BYTES).decode("utf-8", errors="replace"),
    )


def read_picture(folder: Path, entry: TimelineEntry) -> bytes:
    """A picture of the timeline, whatever has become of the folder since it was loaded.

    Raises:
        ModelFolderError: it is no file of the folder any more.
        OSError: it cannot be read.
    """
    return _read(folder, f"{TIMELINE_FOLDER}/{entry.path.name}", MAX_PICTURE_BYTES)


def check_destination(path: Path) -> bool:
    """Check that a model folder may be written to `path`, and tell whether it would replace one. Nothing is touched.

    Allowed are a path where nothing is, an empty folder, and a model folder that holds no file of anybody else.

    Raises:
        ModelNameError: the folder's name cannot be a model's name.
        ModelDestinationError: something else is there, or the folder cannot be made there.
        OSError: the place cannot be read.
    """
    if not re.fullmatch(NAME_PATTERN, path.name):
        name = path.name or str(path)
        raise ModelNameError(f"{name!r} cannot be a model's name; choose one that matches {NAME_PATTERN}")
    parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise ModelDestinationError(f"{path} cannot be written: {parent} is not a folder that this user can write into")
    if path.is_symlink():
        raise ModelDestinationError(f"{path} is a symbolic link, which is not replaced; name the folder itself")
    if not path.exists():
        return False
    if not path.is_dir():
        raise ModelDestinationError(f"{path} is not a folder, and is not replaced; name a new folder")
    if path.is_mount():
        raise ModelDestinationError(f"{path} is a mount point, which cannot be replaced; name a folder inside it")
    if not any(path.iterdir()):
        return False
    if foreign := _foreign_entry(path):
        raise ModelDestinationError(
            f"{path} holds {foreign!r}, which is not part of a model folder and would be lost: name a new folder, or "
            "move that away"
        )
    try:
        _read_metadata(path)
    except ModelFolderError as error:
        raise ModelDestinationError(
            f"{path} is not empty and not a model folder ({error}): name a new folder, or remove this one yourself"
        ) from error
    return True


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
        metadata: what the model says of itself.
        generator: G; its weights are written as they are.
        discriminator: D, likewise.
        history: one record an epoch.
        timeline: PNG bytes by epoch.
        card: Markdown.
        encoder: E, of the sizes in the metadata; None where they say that there is none.
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
    """The bytes of model.safetensors: the same for the same metadata and weights, in every process."""
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
    """A safetensors file with its metadata in the order of their names: the library writes them in a random one."""
    (length,) = _HEADER_LENGTH.unpack_from(data)
    start = _HEADER_LENGTH.size + length
    header = json.loads(data[_HEADER_LENGTH.size : start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format's own alignment
    return _HEADER_LENGTH.pack(len(text)) + text + data[start:]


def _foreign_entry(folder: Path) -> str | None:
    """The name of something in the folder that is not part of the format; None where there is nothing."""
    for entry in sorted(folder.iterdir()):
        if entry.name == TIMELINE_FOLDER and entry.is_dir() and not entry.is_symlink():
            for picture in sorted(entry.iterdir()):
                if not (re.fullmatch(r"[0-9]{1,9}\.png", picture.name) and _is_regular(picture)):
                    return f"{entry.name}/{picture.name}"
        elif entry.name not in {WEIGHTS_FILE, HISTORY_FILE, CARD_FILE} or not _is_regular(entry):
            return entry.name
    return None


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _read_metadata(folder: Path) -> Metadata:
    """What the folder's model.safetensors says of itself; its tensors are not looked at."""
    weights = _read(folder, WEIGHTS_FILE, MAX_WEIGHTS_BYTES)
    _check_header_length(weights)
    with _unchanging(folder / WEIGHTS_FILE, weights) as copy:
        try:
            with safe_open(copy, framework="pt") as file:
                return parse_metadata(file.metadata())
        except SafetensorError as error:
            raise ModelUnreadableError(f"{WEIGHTS_FILE} is not a safetensors file, or truncated: {error}") from error


def _read(folder: Path, name: str, max_bytes: int) -> bytes:
    """A file of the folder, once its place and its size are known to be right."""
    path = folder / name
    if not path.is_file():
        raise ModelFileMissingError(
            f"{path} is missing; a model folder needs it (`python -m training export` writes it)"
        )
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelPathError(f"{path} is a link that leads out of its folder; put the file itself there")
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = b"" if size > max_bytes else file.read(max_bytes + 1)  # it may grow meanwhile
    if max(size, len(data)) > max_bytes:
        raise ModelTooLargeError(f"{path} has {max(size, len(data)):,} bytes; at most {max_bytes:,} are allowed")
    return data


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """A file for reading. It may have become something else since it was looked at: for a pipe nobody waits."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ModelFileMissingError(f"{path} is not a file any more")
        yield file


@contextmanager
def _unchanging(path: Path, data: bytes) -> Iterator[Path]:
    """A file that holds what was read of `path`, and keeps it: mapped memory of a file that is cut meanwhile kills the
    process. Where the system has no files in memory, `path` itself."""
    if not hasattr(os, "memfd_create"):
        yield path
        return
    descriptor = os.memfd_create("model.safetensors")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _check_header_length(data: bytes) -> None:
    """The header's length stands in the first 8 bytes; a lying one must not make the parser allocate."""
    if len(data) < _HEADER_LENGTH.size:
        raise ModelUnreadableError(f"{WEIGHTS_FILE} is truncated: it has {len(data)} bytes")
    (length,) = _HEADER_LENGTH.unpack_from(data)
    if length > MAX_HEADER_BYTES or length > len(data):
        raise ModelUnreadableError(
            f"{WEIGHTS_FILE} is not a safetensors file, or truncated: it claims a header of {length:,} bytes"
        )


def _parse_weights(path: Path) -> tuple[Metadata, dict[str, nn.Module]]:
    """The metadata, and the networks by the names that their tensors begin with."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = parse_metadata(file.metadata())
            networks = _build(metadata)
            wanted = {
                f"{side}.{name}": tensor
                for side, network in networks.items()
                for name, tensor in network.state_dict().items()
                if tensor.is_floating_point()
            }
            _check_names(set(file.keys()), set(wanted))
            tensors = {name: _checked(name, file.get_tensor(name), wanted[name]) for name in wanted}
    except SafetensorError as error:
        raise ModelUnreadableError(f"{WEIGHTS_FILE} is not a safetensors file, or truncated: {error}") from error
    for side, network in networks.items():
        state = {name.removeprefix(f"{side}."): t for name, t in tensors.items() if name.startswith(f"{side}.")}
        state |= {n: torch.zeros((), dtype=t.dtype) for n, t in network.state_dict().items() if n not in state}
        network.load_state_dict(state, assign=True)
        network.eval().requires_grad_(requires_grad=False)
    try:
        check_quantised(networks["generator"])
    except ValueError as error:
        raise TensorRangeError(f"G cannot be what its metadata say, quantised: {error}") from error
    return metadata, networks


def _probe(metadata: Metadata, networks: Mapping[str, nn.Module]) -> None:
    """Run each network: sums of finite weights may still be infinite, and a picture of NaN is no picture."""
    latents = torch.from_numpy(draw_latents(0, 0, PROBES, z_dim=metadata.z_dim, prior=metadata.prior))
    with torch.inference_mode():
        images = networks["generator"](latents)
        results = {"G": images}
        if torch.isfinite(images).all():
            plain = torch.stack([torch.full(metadata.image_shape.chw, shade) for shade in (-1.0, 0.0, 1.0)])
            results["D"] = networks["discriminator"](torch.cat([images, plain]))
            if "encoder" in networks:
                results["E"] = networks["encoder"](images)
    for name, result in results.items():
        if not torch.isfinite(result).all():
            raise NetworkNotFiniteError(
                f"{name} gives NaN or infinity: its weights are finite, but too large; the training that made them "
                "went wrong"
            )


def _build(metadata: Metadata) -> dict[str, nn.Module]:
    """The networks, without memory or random numbers: the checked tensors take the parameters' places."""
    with torch.device("meta"):
        generator, discriminator = build_networks(
            metadata.architecture,
            z_dim=metadata.z_dim,
            image_shape=metadata.image_shape,
            classes=metadata.classes,
            packing=metadata.packing,
            quantised=metadata.quantised,
        )
        networks = {"generator": generator, "discriminator": discriminator}
        if metadata.encoder is not None:
            networks["encoder"] = metadata.encoder.network(z_dim=metadata.z_dim, image_shape=metadata.image_shape)
    return networks


def _check_names(seen: set[str], wanted: set[str]) -> None:
    if seen != wanted:
        missing, extra = sorted(wanted - seen)[:5], sorted(seen - wanted)[:5]
        raise TensorNamesError(
            f"the tensors are not those of the architecture in the metadata: missing {missing}, unexpected {extra}"
        )


def _checked(name: str, tensor: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    if tensor.dtype not in STORED_DTYPES:
        raise TensorDtypeError(f"tensor {name} is {tensor.dtype}; it must be torch.float32 or torch.float16")
    if tensor.shape != wanted.shape:
        raise TensorShapeError(f"tensor {name} has the shape {list(tensor.shape)}; it must be {list(wanted.shape)}")
    if not torch.isfinite(tensor).all():
        raise TensorNotFiniteError(f"tensor {name} holds NaN or infinity; the training that made it went wrong")
    if name.endswith(".running_var") and (tensor < 0).any():
        raise TensorRangeError(
            f"tensor {name} holds {tensor.min():g}; a variance cannot be negative: the file is damaged"
        )
    return tensor.to(torch.float32, copy=True)


def _parse_history(data: bytes) -> History:
    try:
        document = from_json(data)
    except ValueError as error:
        raise HistoryError(f"{HISTORY_FILE} is not a history: the file: Invalid JSON: {error}") from error
    try:
        check_extent(document)
    except ValueError as error:
        raise HistoryError(f"{HISTORY_FILE} is not a history: {error}") from error
    try:
        return History.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise HistoryError(f"{HISTORY_FILE} is not a history: {place}: {first['msg']}") from error


def _list_timeline(folder: Path) -> tuple[TimelineEntry, ...]:
    pictures = sorted(islice((folder / TIMELINE_FOLDER).glob("*.png"), MAX_TIMELINE_PICTURES + 1))
    if len(pictures) > MAX_TIMELINE_PICTURES:
        raise TimelineError(f"{TIMELINE_FOLDER}/ holds more than {MAX_TIMELINE_PICTURES:,} pictures")
    entries = [TimelineEntry(epoch=_timeline_epoch(folder, picture), path=picture) for picture in pictures]
    return tuple(sorted(entries, key=lambda entry: entry.epoch))


def _timeline_epoch(folder: Path, picture: Path) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", picture.stem):
        raise TimelineError(f"{TIMELINE_FOLDER}/{picture.name}: a picture's name must be its epoch, such as 00005.png")
    if not picture.is_file() or not picture.resolve().is_relative_to(folder.resolve()):
        raise ModelPathError(f"{picture} is not a file inside its folder")
    if picture.stat().st_size > MAX_PICTURE_BYTES:
        raise ModelTooLargeError(f"{picture} has more than {MAX_PICTURE_BYTES:,} bytes")
    with _open(picture) as file:
        if file.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
            raise TimelineError(f"{TIMELINE_FOLDER}/{picture.name} is not a PNG")
    return int(picture.stem)
