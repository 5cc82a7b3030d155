"""Reading and checking a model folder. There is one kind of error for each way in which a folder can be bad.

A folder counts as hostile until it is checked. Nothing is unpickled, sizes are checked before files are read, names,
shapes and dtypes before tensors are used, and every network is run once. Not checked: whether the pictures of the
timeline can be decoded, and the quality of G's images. The errors are in `models.errors`, the file names and limits in
`models.model_folder.format`.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import torch
from pydantic import ValidationError
from pydantic_core import from_json
from safetensors import SafetensorError, safe_open
from torch import nn

from models.errors import (
    HistoryError,
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
from models.files import is_system_file
from models.latents import draw_latents
from models.model_folder.format import (
    CARD_FILE,
    HEADER_LENGTH,
    HISTORY_FILE,
    MAX_HEADER_BYTES,
    MAX_PICTURE_BYTES,
    MAX_TEXT_BYTES,
    MAX_TIMELINE_PICTURES,
    MAX_WEIGHTS_BYTES,
    NAME_PATTERN,
    REPLACE,
    STORED_DTYPES,
    TIMELINE_FOLDER,
    WEIGHTS_FILE,
)
from models.model_folder.history import History
from models.model_folder.loaded_model import LoadedModel, TimelineEntry
from models.model_folder.metadata import Metadata, parse_metadata
from models.model_folder.untrusted_files import belongs_to, open_file, read_file, unchanging
from models.model_folder.untrusted_json import check_extent
from models.networks.build import build_networks
from models.networks.quantised import check_quantised
from models.png_framing import SIGNATURE as PNG_SIGNATURE
from models.validation import describe_mistakes

_FAILED_TRAINING = "the training that made it went wrong: export another run"

PROBES = 16
"""G is run once on this many latents, to check its values; D and the encoder are run on its images."""


def load_model(path: Path) -> LoadedModel:
    """Read a model folder, and check all of it.

    Args:
        path: the folder, or a link to one; its name, or the link's, becomes the model's name.

    Raises:
        ModelFolderError: the folder cannot be used; the kind of the error says why (see `models.errors`).
        OSError: a file cannot be read.
    """
    if not path.is_dir():
        raise ModelFolderNotFoundError(f"{path} is not a folder; name a model folder")
    name = Path(os.path.abspath(path)).name  # noqa: PTH100  (Path.resolve would follow a link, which has its own name)
    if not re.fullmatch(NAME_PATTERN, name):
        raise ModelNameError(f"the folder's name {name!r} cannot be a model's name; rename it to match {NAME_PATTERN}")
    weights = read_file(path, WEIGHTS_FILE, MAX_WEIGHTS_BYTES)
    _check_header_length(weights)
    with unchanging(path / WEIGHTS_FILE, weights) as copy:
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
        history=_parse_history(read_file(path, HISTORY_FILE, MAX_TEXT_BYTES)),
        timeline=_list_timeline(path),
        card=read_file(path, CARD_FILE, MAX_TEXT_BYTES).decode("utf-8", errors="replace"),
    )


def read_picture(folder: Path, entry: TimelineEntry) -> bytes:
    """Read the PNG of a timeline entry. The file is checked again, since it may have changed after loading.

    Raises:
        ModelFolderError: the picture is no longer a file of the folder, or it is not the one that was there at loading.
        OSError: the file cannot be read.
    """
    name = f"{TIMELINE_FOLDER}/{entry.path.name}"
    picture = read_file(folder, name, MAX_PICTURE_BYTES)
    if hashlib.sha256(picture).hexdigest() != entry.sha256:
        raise TimelineError(f"{name} has changed since the model folder was read; read the folder again")
    return picture


def read_metadata(folder: Path) -> Metadata:
    """Read the metadata of a model folder without looking at its tensors.

    Raises:
        ModelFolderError: model.safetensors is missing, or its metadata cannot be used.
        OSError: the file cannot be read.
    """
    weights = read_file(folder, WEIGHTS_FILE, MAX_WEIGHTS_BYTES)
    _check_header_length(weights)
    with unchanging(folder / WEIGHTS_FILE, weights) as copy:
        try:
            with safe_open(copy, framework="pt") as file:
                return parse_metadata(file.metadata())
        except SafetensorError as error:
            raise _unreadable(error) from error


def _check_header_length(data: bytes) -> None:
    """Check the length that the first 8 bytes claim for the header, because the parser might allocate that many bytes.

    Raises:
        ModelUnreadableError: the file is shorter than its header, or the header is longer than `MAX_HEADER_BYTES`.
    """
    if len(data) < HEADER_LENGTH.size:
        raise ModelUnreadableError(f"{WEIGHTS_FILE} is truncated: it has {len(data)} bytes; {REPLACE}")
    (length,) = HEADER_LENGTH.unpack_from(data)
    if length > MAX_HEADER_BYTES or length > len(data):
        raise _unreadable(f"it claims a header of {length:,} bytes")


def _unreadable(reason: object) -> ModelUnreadableError:
    return ModelUnreadableError(f"{WEIGHTS_FILE} is not a safetensors file, or truncated: {reason}; {REPLACE}")


def _parse_weights(path: Path) -> tuple[Metadata, dict[str, nn.Module]]:
    """Return the metadata, and the networks by name: "generator", "discriminator" and, if there is one, "encoder"."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = parse_metadata(file.metadata())
            networks = build_on_meta(metadata)
            wanted = {
                f"{side}.{name}": tensor
                for side, network in networks.items()
                for name, tensor in network.state_dict().items()
                if tensor.is_floating_point()
            }
            _check_names(set(file.keys()), set(wanted))
            tensors = {name: _checked(name, file.get_tensor(name), wanted[name]) for name in wanted}
    except SafetensorError as error:
        raise _unreadable(error) from error
    for side, network in networks.items():
        state = {name.removeprefix(f"{side}."): t for name, t in tensors.items() if name.startswith(f"{side}.")}
        state |= {n: torch.zeros((), dtype=t.dtype) for n, t in network.state_dict().items() if n not in state}
        network.load_state_dict(state, assign=True)
        network.eval().requires_grad_(requires_grad=False)
    try:
        check_quantised(networks["generator"])
    except ValueError as error:
        raise TensorRangeError(
            f"the metadata say that G is quantised, but its tensors do not fit: {error}; {REPLACE}"
        ) from error
    return metadata, networks


def _probe(metadata: Metadata, networks: Mapping[str, nn.Module]) -> None:
    """Run each network once, because finite weights may still give NaN or infinity."""
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
                f"{name} gives NaN or infinity: its weights are finite, but too large; {_FAILED_TRAINING}"
            )


def build_on_meta(metadata: Metadata) -> dict[str, nn.Module]:
    """Build the networks on PyTorch's meta device, which allocates no memory and draws no random weights."""
    with torch.device("meta"):
        generator, discriminator = build_networks(
            metadata.architecture,
            z_dim=metadata.z_dim,
            image_shape=metadata.image_shape,
            classes=metadata.ballots,
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
            f"the tensors are not those of the architecture in the metadata: missing {missing}, unexpected {extra}; "
            f"{REPLACE}"
        )


def _checked(name: str, tensor: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Check a tensor against the architecture's, and return a copy in float32."""
    if tensor.dtype not in STORED_DTYPES:
        raise TensorDtypeError(f"tensor {name} is {tensor.dtype}; it must be torch.float32 or torch.float16; {REPLACE}")
    if tensor.shape != wanted.shape:
        raise TensorShapeError(
            f"tensor {name} has the shape {list(tensor.shape)}; it must be {list(wanted.shape)}; {REPLACE}"
        )
    if not torch.isfinite(tensor).all():
        raise TensorNotFiniteError(f"tensor {name} holds NaN or infinity; {_FAILED_TRAINING}")
    if name.endswith(".running_var") and (tensor < 0).any():
        raise TensorRangeError(f"tensor {name} holds {tensor.min():g}, but a variance cannot be negative; {REPLACE}")
    return tensor.to(torch.float32, copy=True)


def _parse_history(data: bytes) -> History:
    try:
        document = from_json(data)
    except ValueError as error:
        raise _bad_history(f"the file: Invalid JSON: {error}") from error
    try:
        check_extent(document)
    except ValueError as error:
        raise _bad_history(error) from error
    try:
        return History.model_validate_json(data)
    except ValidationError as error:
        raise _bad_history(describe_mistakes(error, whole="the file")) from error


def _bad_history(reason: object) -> HistoryError:
    return HistoryError(f"{HISTORY_FILE} is not a history: {reason}; {REPLACE}")


def _list_timeline(folder: Path) -> tuple[TimelineEntry, ...]:
    found = (picture for picture in (folder / TIMELINE_FOLDER).glob("*.png") if not is_system_file(picture))
    pictures = sorted(islice(found, MAX_TIMELINE_PICTURES + 1))
    if len(pictures) > MAX_TIMELINE_PICTURES:
        raise TimelineError(f"{TIMELINE_FOLDER}/ holds more than {MAX_TIMELINE_PICTURES:,} pictures; remove some")
    return tuple(sorted((_timeline_entry(folder, picture) for picture in pictures), key=lambda entry: entry.epoch))


def _timeline_entry(folder: Path, picture: Path) -> TimelineEntry:
    if not re.fullmatch(r"[0-9]{1,9}", picture.stem):
        raise TimelineError(f"{TIMELINE_FOLDER}/{picture.name}: a picture's name must be its epoch, such as 00005.png")
    if not picture.is_file() or not belongs_to(folder, picture):
        raise ModelPathError(f"{picture} is not a file inside its folder; put the file itself there")
    if picture.stat().st_size > MAX_PICTURE_BYTES:
        raise ModelTooLargeError(f"{picture} has more than {MAX_PICTURE_BYTES:,} bytes; remove it")
    with open_file(picture) as file:
        data = file.read(MAX_PICTURE_BYTES)
    if not data.startswith(PNG_SIGNATURE):
        raise TimelineError(f"{TIMELINE_FOLDER}/{picture.name} is not a PNG; remove it")
    return TimelineEntry(epoch=int(picture.stem), path=picture, sha256=hashlib.sha256(data).hexdigest())
