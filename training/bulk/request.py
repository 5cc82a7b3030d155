"""A request for samples, stored in their folder as `bulk.json`: only the same request may continue the folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import LatentError
from models.files import TEMPORARY_SUFFIX, check_new_folder, is_system_file, write_atomically
from models.latents import SEED_LIMIT, check_request
from models.model_folder.loaded_model import LoadedModel
from models.validation import describe_mistakes
from training.errors import BulkError

Format: TypeAlias = Literal["npz", "png", "parquet", "webdataset"]
FORMATS: tuple[Format, ...] = get_args(Format)

SUFFIXES: dict[Format, str] = {"npz": ".npz", "png": "", "parquet": ".parquet", "webdataset": ".tar"}
"""The ending of a shard's name, by format. A `png` shard is a folder."""

REQUEST_FILE = "bulk.json"
SHARD_IMAGES = 10_000
MAX_SHARD_IMAGES = 100_000
"""Most images in a shard. An unfinished one is written again from its start; an npz keeps its latents in memory."""
MAX_SHARDS = 1_000_000
"""Largest number of shards: one folder holds them all, and their names have six digits."""
MAX_REQUEST_BYTES = 2**20


@dataclass(frozen=True)
class Shard:
    """A part of the requested samples: the images first … first + count − 1, and the name of their file or folder."""

    name: str
    first: int
    count: int


class BulkRequest(BaseModel):
    """All settings that decide the bytes of the shards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    model: str = Field(description="Name and hash of the model, as name@hash")
    model_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the model's model.safetensors")
    seed: int = Field(ge=0, lt=SEED_LIMIT)
    first: int = Field(ge=0, description="Index of the first image")
    n: int = Field(ge=1, description="Number of images")
    digit: int | None = Field(description="Class of all images; None: any class")
    truncation: float = Field(gt=0, le=1)
    format: Format
    shard_images: int = Field(ge=1, le=MAX_SHARD_IMAGES, description="Number of images in each shard but the last")
    fingerprint: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="Fingerprint of a small shard; see training.bulk.shards",
    )

    @property
    def shard_count(self) -> int:
        """The number of shards."""
        return -(-self.n // self.shard_images)

    def shard(self, number: int) -> Shard:
        """Return the shard with this number, from 0."""
        start = number * self.shard_images
        return Shard(
            name=f"shard-{number:06d}{SUFFIXES[self.format]}",
            first=self.first + start,
            count=min(self.shard_images, self.n - start),
        )

    def missing(self, folder: Path) -> Iterator[int]:
        """Yield the numbers of the shards that are not in the folder. Each is looked up when it is needed."""
        return (number for number in range(self.shard_count) if not (folder / self.shard(number).name).exists())


def check_bulk(model: LoadedModel, *, seed: int, first: int, n: int, truncation: float, shard_images: int) -> None:
    """Check that the images can be drawn and divided into shards.

    Raises:
        LatentError: the seed, the images or the truncation are out of range.
        BulkError: a shard would be too large, or there would be too many shards.
    """
    check_request(seed, first, n, z_dim=model.metadata.z_dim)
    if not 0 < truncation <= 1:
        raise LatentError(f"truncation must be in (0, 1], not {truncation}")
    if not 1 <= shard_images <= MAX_SHARD_IMAGES:
        raise BulkError(f"--shard-images must be 1 to {MAX_SHARD_IMAGES:,}, not {shard_images:,}")
    shards = -(-n // shard_images)
    if shards > MAX_SHARDS:
        raise BulkError(
            f"{n:,} images in shards of {shard_images:,} are {shards:,} files; at most {MAX_SHARDS:,} go into one "
            "folder: choose a larger --shard-images, or write several folders with --n and --first"
        )


def begin_or_go_on(folder: Path, request: BulkRequest) -> None:
    """Store the request in an empty folder, or check that the folder was begun by the same request.

    The caller must be the only writer of the folder.

    Raises:
        BulkError: the folder belongs to another request, or holds other files.
        OSError: the folder cannot be read or written.
    """
    path = folder / REQUEST_FILE
    check_folder(folder)
    if path.exists():
        _compare(read_request(path), request, folder)
    else:
        write_atomically(path, (request.model_dump_json(indent=2) + "\n").encode())


def check_folder(folder: Path) -> None:
    """Check, without changing anything, that a folder may receive samples: it is missing, empty, or holds samples.

    Raises:
        BulkError: `folder` is not a folder, or holds other files.
        OSError: the folder cannot be made or read.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise BulkError(f"{folder} is not a folder: choose another --out")
    if not folder.exists():
        check_new_folder(folder)
    elif not (folder / REQUEST_FILE).exists():
        others = sorted(entry.name for entry in folder.iterdir() if not (_is_leftover(entry) or is_system_file(entry)))
        if others:
            raise BulkError(
                f"{folder} is not a folder of samples: it has no {REQUEST_FILE}, but holds {others[0]!r}. Choose "
                "another --out"
            )


def read_request(path: Path) -> BulkRequest:
    """Read the `bulk.json` of a folder.

    Raises:
        BulkError: the file is damaged, or was written by a newer version of this program.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_REQUEST_BYTES)
    try:
        return BulkRequest.model_validate_json(data)
    except ValidationError as error:
        mistakes = describe_mistakes(error, whole="the file")
        raise BulkError(
            f"{path} is damaged, or was written by a newer version ({mistakes}): repair it, or choose another --out"
        ) from error


def leftovers(folder: Path) -> Iterator[Path]:
    """Yield the unfinished files and folders that a killed run has left."""
    return (entry for entry in folder.iterdir() if _is_leftover(entry))


def _is_leftover(entry: Path) -> bool:
    return entry.name.startswith((".shard-", f".{REQUEST_FILE}")) and entry.name.endswith(TEMPORARY_SUFFIX)


def _compare(there: BulkRequest, asked: BulkRequest, folder: Path) -> None:
    differences = [
        f"{name} was {getattr(there, name)!r}, and is {getattr(asked, name)!r} now"
        for name in BulkRequest.model_fields
        if name != "fingerprint" and getattr(there, name) != getattr(asked, name)
    ]
    if differences:
        raise BulkError(
            f"{folder} was begun by another request: {'; '.join(differences)}. Give the same options to continue it, "
            "or choose another --out"
        )
    if there.fingerprint != asked.fingerprint:
        raise BulkError(f"{folder} was begun on a machine where the same request gives other bytes: {WHY_OTHER_BYTES}")


WHY_OTHER_BYTES = (
    "it has another kind of processor, or other versions of torch, NumPy, Python, zlib or pyarrow. Continue on the "
    "machine where the folder was begun, or choose another --out"
)
