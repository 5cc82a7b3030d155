"""webdataset and Parquet shards: patterns, folders, labels, splits, and files that are damaged."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.training.data.test_archives import PNGS, N, tarred
from tests.training.support import tiny_images
from training.data.dataset import load_dataset
from training.data.reading import Reading
from training.data.sources.shards import expand, is_there
from training.errors import DataError

# --- webdataset ---------------------------------------------------------------------------------


def shard(path: Path, numbers: range, **more: bytes) -> Path:
    """Write pictures whose class is their number modulo 3, as `KEY.cls`."""
    files: dict[str, bytes] = {}
    for n in numbers:
        files |= {f"{n:06d}.cls": f"{n % 3}\n".encode(), f"{n:06d}.png": PNGS[n]}
    return tarred(path, files | more)


def shards(folder: Path) -> Path:
    folder.mkdir()
    for number in range(3):
        shard(folder / f"shard-{number:03d}.tar", range(8 * number, 8 * number + 8))
    return folder


def expected(n: int) -> bytes:
    return bytes(tiny_images(N)[n].tobytes())


CLASS_OF = {expected(n): str(n % 3) for n in range(N)}


@pytest.mark.parametrize("source", ["d", "d/shard-{000..002}.tar", "d/shard-00{0..2}.tar"])
def test_a_folder_and_a_pattern_of_shards(tmp_path: Path, source: str):
    shards(tmp_path / "d")
    data = load_dataset(str(tmp_path / source))
    assert (data.name, data.class_names) == ("d", ("0", "1", "2"))
    assert data.labels is not None
    seen = {
        image.numpy().tobytes(): data.class_names[label] for image, label in zip(data.images, data.labels, strict=True)
    }
    assert len(seen) == N - 2
    assert seen.items() <= CLASS_OF.items()


def test_one_shard_and_labels_in_json(tmp_path: Path):
    """The samples that `training sample --format webdataset` writes have their class as `digit`."""
    files: dict[str, bytes] = {}
    for n in range(N):
        files |= {
            f"{n}.json": json.dumps({"index": n, "digit": n % 2}).encode(),
            f"{n}.latent.npy": b"x",
            f"{n}.png": PNGS[n],
        }
    data = load_dataset(str(tarred(tmp_path / "a.tar", files)))
    assert data.class_names == ("0", "1")
    assert f"ignored {N} file(s) of other kinds in the shards" in data.notes


def test_train_and_test_shards(tmp_path: Path):
    shard(tmp_path / "train-0.tar", range(20))
    shard(tmp_path / "val-0.tar", range(20, 24))
    data = load_dataset(str(tmp_path))
    assert (len(data.images), len(data.held_out)) == (20, 4)
    assert f"{tmp_path}/train-0.tar is trained on, and {tmp_path}/val-0.tar is held out" in data.notes


def test_missing_and_wrong_labels_are_told_together(tmp_path: Path):
    path = shard(
        tmp_path / "a.tar", range(20), **{"x.png": PNGS[0], "y.png": PNGS[1], "y.cls": b"\xff", "z.json": b"{"}
    )
    with pytest.raises(DataError) as caught:
        load_dataset(str(path))
    assert str(caught.value).splitlines()[0] == f"the labels in {path} have 4 mistake(s); write the shards again:"
    assert f"  {path}/x.png has no label" in str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("shard-{000..004}.tar", r"2 of the 5 files .* do not exist: .*shard-003\.tar, .*shard-004\.tar"),
        ("shard-{003..001}.tar", r"\{003\.\.001\} in --data must go from a number to a larger one"),
        ("shard-{0..999999999}.tar", "at most 100,000 files"),
        ("shard-{0..999}{0..999}.tar", "names more than 100,000 files"),
        ("{0..1}.txt", "2 of the 2 files"),
    ],
)
def test_patterns_that_are_wrong(tmp_path: Path, pattern: str, message: str):
    shards(tmp_path / "d")
    with pytest.raises(DataError, match=message):
        load_dataset(str(tmp_path / "d" / pattern))
    assert not is_there(str(tmp_path / "d" / pattern))


def test_a_pattern_of_several_ranges(tmp_path: Path):
    for name in ("a0-1", "a0-2", "a1-1", "a1-2"):
        (tmp_path / f"{name}.tar").touch()
    source = str(tmp_path / "a{0..1}-{1..2}.tar")
    assert [file.name for file in expand(source)] == ["a0-1.tar", "a0-2.tar", "a1-1.tar", "a1-2.tar"]
    assert is_there(source)


def test_a_labels_file_is_not_for_shards(tmp_path: Path):
    for source in (shards(tmp_path / "d"), table(tmp_path / "a.parquet")):
        with pytest.raises(DataError, match="leave --labels out"):
            load_dataset(str(source), reading=Reading(labels=tmp_path / "labels.csv"))


def test_shards_in_several_folders_are_several_data_sets(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        table(tmp_path / folder / "train.parquet")
    with pytest.raises(DataError, match=rf"\.parquet files in 2 folders, {tmp_path}/a, {tmp_path}/b: give one"):
        load_dataset(str(tmp_path))


# --- Parquet ------------------------------------------------------------------------------------

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def table(path: Path, numbers: range = range(N), *, names: list[str] | None = None, **columns: Any) -> Path:
    """Write a table in Hugging Face's layout; `columns` replaces some, and None leaves one out."""
    rows = [{"bytes": PNGS[n], "path": f"{n}.png"} for n in numbers]
    content = {"image": pa.array(rows, STRUCT), "label": pa.array([n % 2 for n in numbers])} | columns
    made = pa.table({name: of for name, of in content.items() if of is not None})
    if names is not None:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        made = made.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(made, path, row_group_size=7)
    return path


def test_hugging_faces_layout(tmp_path: Path):
    """The names of the classes are in the metadata, in the order of their numbers."""
    (tmp_path / "pets" / "data").mkdir(parents=True)
    table(tmp_path / "pets" / "data" / "train-00000-of-00002.parquet", range(12), names=["dog", "cat"])
    table(tmp_path / "pets" / "data" / "train-00001-of-00002.parquet", range(12, 21), names=["dog", "cat"])
    table(tmp_path / "pets" / "data" / "test-00000-of-00001.parquet", range(21, 24), names=["dog", "cat"])
    data = load_dataset(str(tmp_path / "pets"))
    assert (data.name, data.class_names, len(data.images), len(data.held_out)) == ("pets", ("dog", "cat"), 21, 3)
    assert data.labels is not None
    for image, label in zip(data.images, data.labels.tolist(), strict=True):
        (n,) = [n for n in range(N) if expected(n) == image.numpy().tobytes()]
        assert label == n % 2


@pytest.mark.parametrize("labels", [["b", "a"] * 12, [10, 9] * 12])
def test_plain_bytes_and_other_labels(tmp_path: Path, labels: list[Any]):
    path = table(tmp_path / "a.parquet", image=None, label=None, img=pa.array(PNGS), fine_label=labels, more=range(N))
    data = load_dataset(str(path))
    assert data.class_names == tuple(map(str, sorted(set(labels))))
    assert "ignored 1 column(s) of the Parquet files: more" in data.notes


def test_rows_without_a_picture_are_skipped(tmp_path: Path):
    rows: list[Any] = [{"bytes": PNGS[n], "path": None} for n in range(N)]
    rows[2], rows[9]["bytes"], rows[11]["bytes"] = None, None, b"x"
    path = table(tmp_path / "a.parquet", image=pa.array(rows, STRUCT))
    assert load_dataset(str(path)).skipped == (
        f"{path}, row 3: the row has no bytes",
        f"{path}, row 10: the row has no bytes",
        f"{path}, row 12: it is not an image of a known kind",
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": None}, r"has the columns label; its pictures must be in one of image, img"),
        ({"image": pa.array(range(N))}, "the column image is int64; pictures must be encoded"),
        ({"label": pa.array([0, None, -1] * 8)}, r"16 of the 24 rows .* have no label: .*row 2, .*row 3"),
        ({"label": pa.array([0.5] * N)}, "row 1: the label '0.5' must be a whole number"),
        ({"label": pa.array([-2] * N)}, "row 1: the label '-2' must be"),
        ({"label": pa.array([[0, 1]] * N)}, r"row 1: the label '\[0, 1\]' must be"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, columns: dict[str, Any], message: str):
    with pytest.raises(DataError, match=message):
        load_dataset(str(table(tmp_path / "a.parquet", **columns)))


def test_no_labels_at_all(tmp_path: Path):
    assert load_dataset(str(table(tmp_path / "a.parquet", label=pa.array([-1] * N)))).labels is None
    data = load_dataset(str(table(tmp_path / "a.parquet", label=None)))
    assert data.labels is None
    assert any(note.startswith("there is no column of labels") for note in data.notes)


@pytest.mark.parametrize("content", [b"", b"no table", b"PAR1" + bytes(40) + b"PAR1"])
def test_what_is_no_parquet(tmp_path: Path, content: bytes):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet: .*; fetch it again"):
        load_dataset(str(tmp_path / "a.parquet"))


def test_damaged_metadata_name_no_classes(tmp_path: Path):
    for metadata in (b"{", b"[]", b'{"info": {"features": {"label": {"names": ["a", "a"]}}}}'):
        made = pq.read_table(table(tmp_path / "a.parquet")).replace_schema_metadata({"huggingface": metadata})
        pq.write_table(made, tmp_path / "a.parquet")
        assert load_dataset(str(tmp_path / "a.parquet")).class_names == ("0", "1")


def test_pictures_in_a_folder_come_before_tables(tmp_path: Path):
    """Earlier releases ignored the table, and a run that began so goes on."""
    table(tmp_path / "a.parquet")
    for n in range(20):
        Image.open(io.BytesIO(PNGS[n])).save(tmp_path / f"{n}.png")
    data = load_dataset(str(tmp_path))
    assert len(data.images) + len(data.held_out) == 20
    assert np.unique(data.images.numpy()).size > 1
