"""Parquet files in Hugging Face's layout: a column of pictures, and usually one of labels.

The pictures are a struct {bytes, path} or plain bytes, in the column `image`, `img`, `picture` or `bytes`. The labels
are whole numbers or texts. If the schema's metadata have the names of the classes, the classes get these names.
"""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from training.data.image_file import UnreadableError
from training.data.sources.archive import check_entry_size
from training.data.sources.picture_list import ClassLabel, PictureList, PictureSource
from training.data.sources.shards import split_shards
from training.data.text import name, some
from training.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMNS = ("image", "img", "picture", "bytes")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "category", "target", "digit", "cls")
ROWS = 64
"""The number of pictures that are in memory at once, still encoded."""


def list_parquet(path: Path, files: list[Path]) -> PictureSource:
    """List the pictures of Parquet files.

    Args:
        path: the data as they were named.
        files: the files.

    Raises:
        DataError: a file cannot be read, its columns are others, or rows have no label.
        ModuleNotFoundError: pyarrow is not installed.
    """
    train, test, notes = split_shards(files)
    layout = _layout_of(train[0])
    train_list, train_notes = _list(path, train, layout)
    test_list, test_notes = _list(path, test, layout) if test else (None, ())
    return PictureSource(path, train_list, test_list, (*notes, *train_notes, *test_notes), files)


@dataclass(frozen=True)
class _Layout:
    """The columns of the pictures and of the labels, if there are any; the names of the classes; the other columns."""

    image: str
    label: str | None
    class_names: Mapping[int, str]
    others: list[str]


def _layout_of(file: Path) -> _Layout:
    """Return the layout of a file.

    Raises:
        DataError: it has no column of pictures, or one of another type.
    """
    import pyarrow as pa  # noqa: PLC0415  (an extra)

    schema = _open(file).schema_arrow
    image = next((column for column in IMAGE_COLUMNS if column in schema.names), None)
    if image is None:
        raise DataError(
            f"{name(file)} has the columns {some(schema.names)}; its pictures must be in one of "
            f"{', '.join(IMAGE_COLUMNS)}"
        )
    kind = schema.field(image).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DataError(
            f"{name(file)}: the column {image} is {schema.field(image).type}; pictures must be encoded, as bytes or as "
            "a struct of bytes and path"
        )
    label = next((column for column in LABEL_COLUMNS if column in schema.names), None)
    class_names = {} if label is None else _class_names(schema, label)
    return _Layout(image, label, class_names, [column for column in schema.names if column not in {image, label}])


def _class_names(schema: "pa.Schema", label: str) -> Mapping[int, str]:
    """Return the names of the classes by their numbers, from the metadata that Hugging Face writes; {} without them."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
        return {}
    return dict(enumerate(names)) if len(set(names)) == len(names) else {}


def _list(path: Path, files: list[Path], layout: _Layout) -> tuple[PictureList, tuple[str, ...]]:
    classes: list[ClassLabel | None] = []
    rows = _Rows(layout.image)
    for file in files:
        opened = _open(file)
        lacking = [
            column for column in (layout.image, layout.label) if column and column not in opened.schema_arrow.names
        ]
        if lacking:
            raise DataError(f"{name(file)} has no column {lacking[0]}, which {name(files[0])} has: give files alike")
        n = opened.metadata.num_rows
        labels = [None] * n if layout.label is None else _labels(file, opened, layout.label)
        rows.add(file, n)
        classes += labels
    if not classes:
        raise DataError(f"{name(path)} has no rows: give other files")
    notes = [] if layout.label else [f"there is no column of labels ({', '.join(LABEL_COLUMNS)})"]
    if layout.others:
        notes.append(f"ignored {len(layout.others):,} column(s) of the Parquet files: {some(layout.others)}")
    missing = [index for index, label in enumerate(classes) if label is None or label == -1]
    if len(missing) == len(classes):
        classes = [None] * len(classes)
    elif missing:
        told = [rows.name_of(index) for index in missing]
        raise DataError(f"{len(missing):,} of the {len(classes):,} rows of {name(path)} have no label: {some(told)}")
    found = PictureList(name(path), classes, rows.name_of, rows.open, layout.class_names)
    return found, tuple(note if note.isprintable() else ascii(note)[1:-1] for note in notes)


def _labels(file: Path, opened: Any, column: str) -> list[ClassLabel | None]:  # noqa: ANN401  (pyarrow has no types)
    """Return the labels of a file; None and −1 stand for no label."""
    with _told(file):
        labels: list[ClassLabel | None] = opened.read(columns=[column])[column].to_pylist()
    for row, label in enumerate(labels, start=1):
        is_number = isinstance(label, int) and not isinstance(label, bool) and label >= -1
        if not (label is None or isinstance(label, str) or is_number):
            raise DataError(
                f"{name(file)}, row {row}: the label {str(label)[:60]!r} must be a whole number ≥ 0 or text"
            )
    return labels


@dataclass
class _Rows:
    """Reads the pictures of several files one after the other, a few rows at a time."""

    column: str
    _files: list[tuple[Path, int, int]] = field(init=False, default_factory=list)  # with first row and number
    _stream: Iterator[bytes | None] = field(init=False, default=iter(()))
    _next: int = field(init=False, default=-1)

    def add(self, file: Path, rows: int) -> None:
        """Add a file with this number of rows."""
        first = sum(self._files[-1][1:]) if self._files else 0
        self._files.append((file, first, rows))

    def name_of(self, index: int) -> str:
        """Return a name of the picture with an index."""
        file, first = self._place(index)
        return f"{name(file)}, row {index - first + 1}"

    def open(self, index: int) -> BinaryIO:
        """Return the bytes of a picture. It is quick if the one before it was the last that was asked for.

        Raises:
            UnreadableError: the row has no picture, or one that is too large.
        """
        if index != self._next:
            file, first = self._place(index)
            self._stream = self._read_from(file, skip=index - first)
        self._next = index + 1
        data = next(self._stream, None)
        if data is None:
            raise UnreadableError("the row has no bytes")
        check_entry_size(len(data))
        return io.BytesIO(data)

    def _place(self, index: int) -> tuple[Path, int]:
        return next((file, first) for file, first, rows in self._files if first <= index < first + rows)

    def _read_from(self, file: Path, *, skip: int) -> Iterator[bytes | None]:
        """Yield the bytes of each row from a row of this file on, through the files after it."""
        files = [each for each, _, rows in self._files if rows]
        for each in files[files.index(file) :]:
            with _told(each):
                for batch in _open(each).iter_batches(batch_size=ROWS, columns=[self.column]):
                    for row in batch.column(0)[skip:]:
                        value = row.as_py()
                        yield value.get("bytes") if isinstance(value, dict) else value
                    skip = max(0, skip - len(batch))


def _open(file: Path) -> Any:  # noqa: ANN401
    import pyarrow.parquet as pq  # noqa: PLC0415

    with _told(file):
        return pq.ParquetFile(file)


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Turn the errors of pyarrow into `DataError`."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{name(file)} cannot be read as Parquet: {text}; fetch it again") from error
