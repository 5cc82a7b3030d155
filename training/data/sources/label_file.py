"""Labels from a CSV or JSON file beside the pictures.

    labels.csv       a header with a column of files and one of labels, such as `file,label`
    labels.json      {"a.png": "cat", …}, or [{"file": "a.png", "label": "cat"}, …]
    labels.jsonl     one such object a line
    dataset.json     StyleGAN's form: {"labels": [["a.png", 3], …]}
    metadata.csv, metadata.jsonl   Hugging Face's names; without a column of labels they are passed over

`parse_labels` reads a file and collects its mistakes; `training.data.sources.labelling` finds it and compares it with
the pictures.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from training.data.sources.picture_list import ClassLabel

NAMES = ("labels.csv", "labels.json", "labels.jsonl", "dataset.json", "metadata.csv", "metadata.jsonl")
"""The names by which a file of labels is found, the first one first."""

MAYBE = frozenset({"dataset.json", "metadata.csv", "metadata.jsonl"})
"""Files of these names may hold something else than labels, and are then passed over."""

FILE_KEYS = ("file", "file_name", "filename", "path", "image", "name", "id")
LABEL_KEYS = ("label", "class", "category", "target", "digit", "cls")
"""The names of the columns, in any case; the first that exists counts."""

MAX_BYTES = 2**30
MAX_NUMBER = 2**53


class NoLabelsError(Exception):
    """A file is read as a whole, but holds no labels; the message says what it holds."""


@dataclass
class LabelTable:
    """The labels that a file gives.

    Attributes:
        labels: the label of each file that is named, by the path as it is written, with `/`.
        places: where each of them is written, such as "line 3".
        mistakes: sentences about lines that are wrong, each with its place.
        refused: the files whose label is one of these mistakes.
    """

    labels: dict[str, ClassLabel] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def add(self, file: object, label: object, place: str) -> None:
        """Take a line of the file, or note what is wrong with it."""
        if not isinstance(file, str) or not file.strip():
            self.mistakes.append(f"{place}: the name of a file must be text, not {_seen(file)}")
            return
        key = file.strip().replace("\\", "/").removeprefix("./")
        if (
            isinstance(label, bool)
            or not isinstance(label, str | int)
            or (isinstance(label, int) and not 0 <= label <= MAX_NUMBER)
        ):
            self.refused.add(key)
            self.mistakes.append(
                f"{place}: the label of {_seen(key)} must be text or a whole number from 0 to 2**53, not {_seen(label)}"
            )
        elif isinstance(label, str) and not label.strip():
            self.refused.add(key)
            self.mistakes.append(f"{place}: {_seen(key)} has no label")
        elif key in self.labels:
            self.mistakes.append(f"{place}: {_seen(key)} has a label already, on {self.places[key]}")
        else:
            self.labels[key] = label.strip() if isinstance(label, str) else label
            self.places[key] = place

    def make_alike(self) -> None:
        """Make numbers of texts if all labels are whole numbers, so that 10 comes after 9; otherwise texts of all."""
        values = set(self.labels.values())
        as_type = int if all(isinstance(value, int) or _is_number(value) for value in values) else str
        self.labels = {file: as_type(label) for file, label in self.labels.items()}


def parse_labels(data: bytes, file_name: str) -> LabelTable:
    """Read the bytes of a file of labels; its name says which format it has.

    Labels that are all whole numbers, such as "0" and "10", become numbers, so that the classes have their order.

    Returns:
        The labels, and all mistakes in single lines.

    Raises:
        NoLabelsError: the file has no labels, or is no such file as a whole.
    """
    if len(data) > MAX_BYTES:
        raise NoLabelsError(f"it has {len(data):,} bytes, and at most {MAX_BYTES:,} are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise NoLabelsError(
            f"line {line} is not UTF-8 (the byte {data[error.start]:#04x}): save the file as UTF-8"
        ) from error
    suffix = Path(file_name).suffix.lower()
    table = LabelTable()
    rows = {".json": _json_rows, ".jsonl": _json_line_rows}.get(suffix, _csv_rows)(text, table)
    for file, label, place in rows:
        table.add(file, label, place)
    if not table.labels and not table.mistakes:
        raise NoLabelsError("it names no picture")
    table.make_alike()
    return table


_Rows = Iterator[tuple[object, object, str]]


def _csv_rows(text: str, table: LabelTable) -> _Rows:
    """Yield the file, the label and the place of each line."""
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [column.strip().lower() for column in next(lines, [])]
        file, label = _only_key(header, FILE_KEYS), _only_key(header, LABEL_KEYS)
        if file is None or label is None:
            what, keys = ("files", FILE_KEYS) if file is None else ("labels", LABEL_KEYS)
            raise NoLabelsError(
                f"line 1 names the columns {_seen(', '.join(header))}, and none of them is that of the {what}: name it "
                f"{' or '.join(keys)}"
            )
        columns = header.index(file), header.index(label)
        for cells in lines:
            place = f"line {lines.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                table.mistakes.append(f"{place}: it has {len(cells)} cell(s), and line 1 has {len(header)}")
                continue
            yield cells[columns[0]], cells[columns[1]], place
    except csv.Error as error:
        table.mistakes.append(f"line {lines.line_num}: it cannot be read as CSV: {error}")


def _json_rows(text: str, table: LabelTable) -> _Rows:
    """Yield the file, the label and the place of each entry."""
    content = _parse_json(text, "it")
    if isinstance(content, _Pairs) and any(key == "labels" for key, _ in content.pairs):
        content = dict(content.pairs)["labels"]
        if content is None:
            raise NoLabelsError("its labels are null")
    if isinstance(content, _Pairs):
        for number, (key, label) in enumerate(content.pairs, start=1):
            yield key, label, f"entry {number}"
    elif isinstance(content, list):
        for number, entry in enumerate(content, start=1):
            yield from _json_entry(entry, f"entry {number}", table)
    else:
        raise NoLabelsError("it must be an object or a list")


def _json_line_rows(text: str, table: LabelTable) -> _Rows:
    """Yield the file, the label and the place of each line."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = _parse_json(line, "it")
        except NoLabelsError as error:
            table.mistakes.append(f"line {number}: {error}")
        else:
            yield from _json_entry(entry, f"line {number}", table)


def _json_entry(entry: object, place: str, table: LabelTable) -> _Rows:
    """Yield the file, the label and the place of an object or of a pair."""
    if isinstance(entry, list) and len(entry) == 2:
        yield entry[0], entry[1], place
        return
    names = [key.lower() for key, _ in entry.pairs] if isinstance(entry, _Pairs) else []
    file, label = _only_key(names, FILE_KEYS), _only_key(names, LABEL_KEYS)
    if not isinstance(entry, _Pairs) or file is None:
        table.mistakes.append(f"{place}: it must be a pair, or an object with `file` and `label`, not {_seen(entry)}")
        return
    if label is None:
        if not table.labels and not table.mistakes:
            raise NoLabelsError(f"{place} has no key for the label: name it {' or '.join(LABEL_KEYS)}")
        table.mistakes.append(f"{place}: it has no label")
        return
    values = {key.lower(): value for key, value in entry.pairs}
    yield values[file], values[label], place


class _Pairs:
    """An object of JSON with all its keys, also those that occur twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self.pairs = pairs

    def __repr__(self) -> str:
        return json.dumps(dict(self.pairs), default=str, ensure_ascii=False)


def _parse_json(text: str, subject: str) -> object:
    try:
        return cast("object", json.loads(text, object_pairs_hook=_Pairs))
    except json.JSONDecodeError as error:
        raise NoLabelsError(f"{subject} is not JSON: {error}") from error
    except (RecursionError, ValueError) as error:  # too deep, or a number of too many digits
        raise NoLabelsError(f"{subject} cannot be read as JSON: {error}") from error


def _only_key(names: list[str], keys: tuple[str, ...]) -> str | None:
    return next((key for key in keys if key in names), None)


def _is_number(text: str) -> bool:
    return len(text) < 16 and text.isdecimal() and str(int(text)) == text


def _seen(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= 60 else f"{text[:57]}…"
    return repr(text) if isinstance(value, str) or not text.isprintable() else text
