"""Write a shard as a file or a folder. The same images give the same bytes, and only a few are in memory at a time.

    npz         images [n, H, W(, 3)] uint8, latents [n, z_dim] float32, indices [n] int64, seed int64, digits [n] int64
    png         a folder: INDEX.png per image, latents.npy, and metadata.csv with file_name, index, seed, digit
    parquet     columns index, seed, digit, image and latent; the last two are Arrow tensors of fixed shape
    webdataset  a tar: per image INDEX.json (index, seed, digit), INDEX.latent.npy and INDEX.png

Digits are left out for a model without classes. If the classes have names, an npz also has class_names [K] text, and
the others have a column or field "class" after the digit. This module does not sync files; `training.bulk.shards` does.
"""

import csv
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.npy import npy_header
from training.bulk.drawing import Chunk, SeedSampler
from training.bulk.request import Format, Shard
from training.errors import BulkError
from training.pictures import encode_png_quickly

if TYPE_CHECKING:
    from types import ModuleType

    import pyarrow as pa

ROW_GROUP_CHUNKS = 8
"""Chunks per row group of a parquet file, which makes 2,048 images."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP can store
_UNIX = 3  # "made on Unix" in the header of a ZIP's entry
_TAR_BLOCK = 512
_TAR_RECORD = 20 * _TAR_BLOCK  # the length of a tar is a multiple of this

Writer: TypeAlias = Callable[[Path, SeedSampler, int, int], None]
"""A function of (path, drawer, first, count): it writes images first … first + count − 1 to `path`, which is new."""


def write_npz(path: Path, drawer: SeedSampler, first: int, count: int) -> None:
    """Write one uncompressed .npz. The latents stay in memory until all images are written."""
    latents = np.empty((count, drawer.metadata.z_dim), dtype=np.float32)
    digits = np.empty(count, dtype=np.int64) if drawer.metadata.classes else None
    with zipfile.ZipFile(path, "w") as archive:
        with _entry(archive, "images") as file:
            file.write(npy_header((count, *drawer.metadata.image_shape.array), np.uint8))
            for chunk in drawer.chunks(first, count):
                place = slice(chunk.first - first, chunk.first - first + len(chunk.images))
                latents[place] = chunk.latents
                if digits is not None and chunk.digits is not None:
                    digits[place] = chunk.digits
                file.write(chunk.images.data)
        _write_array(archive, "latents", latents)
        _write_array(archive, "indices", np.arange(first, first + count, dtype=np.int64))
        _write_array(archive, "seed", np.array(drawer.seed, dtype=np.int64))
        if digits is not None:
            _write_array(archive, "digits", digits)
        if drawer.metadata.has_named_classes:
            with _entry(archive, "class_names") as file:
                np.lib.format.write_array(file, np.array(drawer.metadata.class_names), allow_pickle=False)


def write_png(path: Path, drawer: SeedSampler, first: int, count: int) -> None:
    """Write a folder of PNGs. Its `metadata.csv` lists them, as programs that read image folders expect."""
    path.mkdir()
    with (
        (path / "metadata.csv").open("w", encoding="utf-8", newline="") as table,
        (path / "latents.npy").open("wb") as latents,
    ):
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(["file_name", "index", "seed", *_class_columns(drawer)])
        latents.write(npy_header((count, drawer.metadata.z_dim), np.float32))
        for chunk in drawer.chunks(first, count):
            latents.write(chunk.latents.data)
            for index, image, digit in _each(chunk):
                name = f"{_key(index)}.png"
                (path / name).write_bytes(encode_png_quickly(image))
                rows.writerow([name, index, drawer.seed, *digit, *_class_name(drawer, digit)])


def png_folder_files(shard: Shard) -> set[str]:
    """Return the names of all files that `write_png` writes for a shard."""
    pictures = (f"{_key(index)}.png" for index in range(shard.first, shard.first + shard.count))
    return {"metadata.csv", "latents.npy", *pictures}


def write_parquet(path: Path, drawer: SeedSampler, first: int, count: int) -> None:
    """Write one Parquet file with a row group for every 2,048 images. Its bytes depend on the version of pyarrow.

    Raises:
        BulkError: pyarrow is not installed.
    """
    pa, parquet = _import_pyarrow()
    schema = _parquet_schema(pa, drawer)
    chunks = drawer.chunks(first, count)
    with parquet.ParquetWriter(str(path), schema, **_PARQUET_SETTINGS) as writer:
        while group := list(islice(chunks, ROW_GROUP_CHUNKS)):
            writer.write_table(_parquet_table(pa, schema, drawer, group))


_PARQUET_SETTINGS = {
    "version": "2.6",
    "data_page_version": "1.0",
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["image", "image.list.element"],  # pixels have 256 values; a latent's values hardly repeat
    "write_statistics": True,
    "store_schema": True,
}


def _parquet_schema(pa: "ModuleType", drawer: SeedSampler) -> "pa.Schema":
    tensor = pa.fixed_shape_tensor
    return pa.schema(
        [
            ("index", pa.int64()),
            ("seed", pa.int64()),
            *zip(_class_columns(drawer), (pa.int16(), pa.string()), strict=False),
            ("image", tensor(pa.uint8(), drawer.metadata.image_shape.array)),
            ("latent", tensor(pa.float32(), (drawer.metadata.z_dim,))),
        ]
    )


def _parquet_table(pa: "ModuleType", schema: "pa.Schema", drawer: SeedSampler, group: Sequence[Chunk]) -> "pa.Table":
    """Make a table of the rows of some chunks, with the columns in the order of the schema."""
    columns: list[NDArray[Any]] = [np.concatenate([chunk.indices for chunk in group])]
    columns.append(np.full_like(columns[0], drawer.seed))
    if drawer.metadata.classes:
        columns.append(np.concatenate([chunk.digits for chunk in group]).astype(np.int16))
    if drawer.metadata.has_named_classes:
        columns.append(np.array(drawer.metadata.class_names)[columns[-1]])
    plain = [pa.array(column) for column in columns]
    tensors = [
        pa.FixedShapeTensorArray.from_numpy_ndarray(np.concatenate(parts))
        for parts in ([chunk.images for chunk in group], [chunk.latents for chunk in group])
    ]
    return pa.table([*plain, *tensors], schema=schema)


def write_webdataset(path: Path, drawer: SeedSampler, first: int, count: int) -> None:
    """Write one tar. The files of one image have the same name up to the first dot.

    The headers have the USTAR format, without a time or an owner.
    """
    header = npy_header((drawer.metadata.z_dim,), np.float32)
    with path.open("wb") as tar:
        for chunk in drawer.chunks(first, count):
            for (index, image, digit), latent in zip(_each(chunk), chunk.latents, strict=True):
                chosen = dict(zip(_class_columns(drawer), [*digit, *_class_name(drawer, digit)], strict=True))
                facts = {"index": index, "seed": drawer.seed, **chosen}
                _add(tar, f"{_key(index)}.json", json.dumps(facts).encode())
                _add(tar, f"{_key(index)}.latent.npy", header + latent.tobytes())
                _add(tar, f"{_key(index)}.png", encode_png_quickly(image))
        tar.write(bytes(2 * _TAR_BLOCK))
        tar.write(bytes(-tar.tell() % _TAR_RECORD))


WRITERS: dict[Format, Writer] = {
    "npz": write_npz,
    "png": write_png,
    "parquet": write_parquet,
    "webdataset": write_webdataset,
}


def check_format(name: Format) -> None:
    """Check that this Python can write a format.

    Raises:
        BulkError: the format needs a package that is not installed.
    """
    if name == "parquet":
        _import_pyarrow()


def _import_pyarrow() -> "tuple[ModuleType, ModuleType]":
    try:
        import pyarrow as pa  # noqa: PLC0415  (an extra)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise BulkError(
            "--format parquet needs pyarrow, which is not installed: install it with pip install '.[bulk]'"
        ) from error
    return pa, parquet


def _each(chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8], list[int]]]:
    """Yield (index, image, [digit]) of each image; without classes, (index, image, [])."""
    for row, image in enumerate(chunk.images):
        yield chunk.first + row, image, [] if chunk.digits is None else [int(chunk.digits[row])]


def _class_columns(drawer: SeedSampler) -> list[str]:
    """Return the names of the columns that tell an image's class: its number and, if classes have names, its name."""
    metadata = drawer.metadata
    return [*(["digit"] if metadata.classes else []), *(["class"] if metadata.has_named_classes else [])]


def _class_name(drawer: SeedSampler, digit: list[int]) -> list[str]:
    """Return [name] of the class [digit] if the classes have names, else []."""
    metadata = drawer.metadata
    return [metadata.class_names[label] for label in digit] if metadata.has_named_classes else []


def _key(index: int) -> str:
    """Return the name of an image's files up to the first dot. Below index 10¹², names sort like indices."""
    return f"{index:012d}"


def _entry(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
    entry.create_system = _UNIX
    return archive.open(entry, "w", force_zip64=True)


def _write_array(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    with _entry(archive, name) as file:
        file.write(npy_header(array.shape, array.dtype.type))
        file.write(array.tobytes())


def _add(tar: BinaryIO, name: str, data: bytes) -> None:
    """Add a file to a tar, with the same header as `tarfile` writes, in a tenth of the time.

    Only three fields differ between files: the name, the length and the checksum.
    """
    header = bytearray(_tar_header())
    header[: len(name)] = name.encode("ascii")
    header[124:135] = b"%011o" % len(data)
    header[148:156] = b" " * 8  # the checksum is computed with spaces in its own place
    header[148:155] = b"%06o\0" % sum(header)
    tar.write(header + data + bytes(-len(data) % _TAR_BLOCK))


@lru_cache(maxsize=1)
def _tar_header() -> bytes:
    """Return the header of an empty file without a name: its time is 0, it has no owner, and its mode is 0644."""
    return tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)
