"""Labels from CSV and JSON files: their forms, where they are found, and every mistake in them."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.training.support import tiny_images, write_pngs
from training.data.dataset import Dataset, load_dataset
from training.data.reading import Reading
from training.data.sources.labelling import MAX_TOLD
from training.errors import DataError

N = 30
FILES = [f"{index:03d}.png" for index in range(N)]
KINDS = ["cat", "dog", "ant"]


def pictures(folder: Path) -> Path:
    """Write pictures whose first pixel is the number of their class."""
    images = tiny_images(N)
    images[:, 0, 0] = np.arange(N) % 3
    return write_pngs(folder, images)


def check_classes(data: Dataset, names: list[str] = KINDS) -> None:
    assert data.labels is not None
    assert data.held_out_labels is not None
    for images, labels in ((data.images, data.labels), (data.held_out, data.held_out_labels)):
        for image, label in zip(images, labels.tolist(), strict=True):
            assert data.class_names[label] == names[int(image[0, 0, 0])]


def rows(sep: str = ",", names: list[str] = KINDS) -> str:
    return "".join(f"{file}{sep}{names[index % 3]}\n" for index, file in enumerate(FILES))


PAIRS = [(file, KINDS[index % 3]) for index, file in enumerate(FILES)]
FORMS = {
    "labels.csv": "file,label\n" + rows(),
    "metadata.csv": "\ufefffile_name;Label\r\n" + rows(";").replace("\n", "\r\n"),
    "labels.json": json.dumps(dict(PAIRS)),
    "dataset.json": json.dumps({"labels": PAIRS}),
    "labels.jsonl": "\n".join(json.dumps({"file_name": file, "label": label, "more": [1]}) for file, label in PAIRS),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_found_by_its_name(tmp_path: Path, form: str):
    (pictures(tmp_path / "data") / form).write_text(FORMS[form], encoding="utf-8", newline="")
    data = load_dataset(str(tmp_path / "data"))
    check_classes(data)
    assert data.found_labels
    assert any(note.startswith(f"the labels of {N} pictures are read from") and form in note for note in data.notes)
    assert not any("ignored" in note for note in data.notes)


def test_a_list_of_objects_and_quoted_cells(tmp_path: Path):
    pictures(tmp_path / "data")
    given = tmp_path / "mine.json"
    given.write_text(json.dumps([{"label": label, "file": f"./{file}"} for file, label in PAIRS]))
    check_classes(load_dataset(str(tmp_path / "data"), reading=Reading(labels=given)))
    given = tmp_path / "mine.csv"
    given.write_text("id,split,class\n" + "".join(f'"{file}","a,b","{label}"\n' for file, label in PAIRS))
    check_classes(load_dataset(str(tmp_path / "data"), reading=Reading(labels=given)))


def test_numbers_keep_their_order(tmp_path: Path):
    """As texts, 10 would come before 9."""
    numbers = ["9", "10", "100"]
    (pictures(tmp_path) / "labels.csv").write_text("file,label\n" + rows(names=numbers))
    data = load_dataset(str(tmp_path))
    assert data.class_names == ("9", "10", "100")
    check_classes(data, numbers)


def test_labels_take_the_place_of_sub_folders(tmp_path: Path):
    """StyleGAN's folders 00000, 00001 … are no classes."""
    images = tiny_images(N)
    images[:, 0, 0] = np.arange(N) % 3
    write_pngs(tmp_path / "00000", images[:15])
    write_pngs(tmp_path / "00001", images[15:])
    labels = [(f"{n // 15:05d}/{n % 15:03d}.png", n % 3) for n in range(N)]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    data = load_dataset(str(tmp_path))
    assert data.class_names == ("0", "1", "2")
    check_classes(data, ["0", "1", "2"])


def test_labels_of_train_and_test(tmp_path: Path):
    write_pngs(tmp_path / "train", tiny_images(20))
    write_pngs(tmp_path / "test", tiny_images(4, seed=1))
    train = "".join(f"train/{index:03d}.png,{'ab'[index % 2]}\n" for index in range(20))
    test = "".join(f"test/{index:03d}.png,{'ab'[index % 2]}\n" for index in range(4))
    (tmp_path / "labels.csv").write_text("file,label\n" + train + test)
    data = load_dataset(str(tmp_path))
    assert (len(data.images), len(data.held_out), data.class_names) == (20, 4, ("a", "b"))
    assert data.held_out_labels is not None
    assert data.held_out_labels.bincount().tolist() == [2, 2]
    (tmp_path / "labels.csv").write_text("file,label\n" + train)
    without = load_dataset(str(tmp_path))
    assert without.held_out_labels is None
    assert "the 4 images of the test set have no labels" in without.notes


def test_a_file_beside_the_folder_may_name_other_folders_too(tmp_path: Path):
    pictures(tmp_path / "mine")
    beside = tmp_path / "labels.csv"
    beside.write_text("file,label\n" + "".join(f"mine/{f},{k}\n" for f, k in PAIRS) + "other/a.png,cat\n")
    data = load_dataset(str(tmp_path / "mine"))
    check_classes(data)
    assert any("also names 1 picture(s) outside" in note for note in data.notes)
    beside.write_text("file,label\nother/a.png,cat\n")
    without = load_dataset(str(tmp_path / "mine"))
    assert without.labels is None
    passed_over = (
        f"{beside} is passed over, because it names no picture in the folder: it names other/a.png, for example"
    )
    assert any(note.startswith(passed_over) for note in without.notes)


def test_names_from_the_folder_of_the_file(tmp_path: Path):
    pictures(tmp_path / "a" / "pictures")
    given = tmp_path / "a" / "all.csv"
    given.write_text("file,label\n" + "".join(f"pictures\\{f},{k}\n" for f, k in PAIRS))
    check_classes(load_dataset(str(tmp_path / "a" / "pictures"), reading=Reading(labels=given)))


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path: Path):
    pictures(tmp_path)
    lines = ["file,label", *rows().splitlines()]
    lines[1] = "gone.png,cat"  # and 000.png has no label
    lines[2] = "001.png,"
    lines[3] = "002.png"
    lines[5] = lines[4]
    lines[6] = ",cat"
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        load_dataset(str(tmp_path))
    told = str(caught.value).splitlines()
    assert told[0].startswith(f"the labels in {tmp_path}/labels.csv have 9 mistake(s)")
    assert told[1:] == [
        "  line 3: '001.png' has no label",
        "  line 4: it has 1 cell(s), and line 1 has 2",
        "  line 6: '003.png' has a label already, on line 5",
        "  line 7: the name of a file must be text, not ''",
        "  line 2: there is no picture 'gone.png'",
        *(f"  {tmp_path}/{index:03d}.png has no label" for index in (0, 2, 4, 5)),
    ]


def test_many_mistakes_are_counted(tmp_path: Path):
    pictures(tmp_path)
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"x{n}.png,a\n" for n in range(MAX_TOLD)))
    with pytest.raises(DataError, match=rf"have {MAX_TOLD + N} mistake\(s\)(.|\n)*  … and {N} more$"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "labels.csv",
            b"file,label\n000.png,\xe9t\xe9\n",
            r"line 2 is not UTF-8 \(the byte 0xe9\): save the file as UTF-8",
        ),
        ("labels.csv", b"", "line 1 names the columns ''"),
        (
            "labels.csv",
            b"000.png,cat\n",
            "line 1 names the columns '000.png, cat', and none of them is that of the files",
        ),
        ("labels.csv", b"file,kind\n000.png,a\n", "none of them is that of the labels: name it label or class"),
        ("labels.csv", b"file,label\n", "it names no picture"),
        ("labels.json", b"{", "it is not JSON: .* line 1 column 2"),
        ("labels.json", b"3", "it must be an object or a list"),
        ("labels.json", b"[" * 100_000, "it cannot be read as JSON"),
        ("labels.json", b"[3]", r"entry 1: it must be a pair, or an object with `file` and `label`, not 3"),
        (
            "labels.json",
            b'{"000.png": true}',
            "entry 1: the label of '000.png' must be text or a whole number .*, not True",
        ),
        ("labels.json", b'{"000.png": -1}', "must be text or a whole number from 0 to .*, not -1"),
        ("labels.json", b'{"000.png": 1.5}', "not 1.5"),
        ("labels.json", b'{"000.png": [0, 1]}', r"not \[0, 1\]"),
        ("labels.json", b'{"000.png": 1, "000.png": 2}', "entry 2: '000.png' has a label already, on entry 1"),
        ("labels.json", b'{"../000.png": 1}', "entry 1: there is no picture '../000.png'"),
        ("labels.json", b'{"/etc/passwd": 1}', "there is no picture '/etc/passwd'"),
        ("labels.jsonl", b'{"file": "000.png", "label": 1}\n{"file":\n', "line 2: it is not JSON"),
    ],
)
def test_what_is_wrong_with_a_file_of_labels(tmp_path: Path, file: str, content: bytes, message: str):
    (pictures(tmp_path) / file).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize(("file", "value"), [("labels.json", "null"), ("labels.json", "1.5"), ("labels.csv", "")])
def test_a_label_that_is_refused_is_one_mistake_and_not_two(tmp_path: Path, file: str, value: str):
    """The picture of such a label has none, but this needs no second line."""
    names = [path.name for path in sorted(pictures(tmp_path).glob("*.png"))]
    if file == "labels.json":
        content = "{" + ", ".join(f'"{name}": {value}' for name in names) + "}"
    else:
        content = "file,label\n" + "".join(f"{name},{value}\n" for name in names)
    (tmp_path / file).write_text(content)
    with pytest.raises(DataError, match=rf"have {len(names)} mistake\(s\)"):
        load_dataset(str(tmp_path))


def test_metadata_without_labels_are_passed_over(tmp_path: Path):
    (pictures(tmp_path) / "metadata.csv").write_text("file_name,text\n000.png,a cat\n")
    (tmp_path / "dataset.json").write_text('{"labels": null}')
    data = load_dataset(str(tmp_path))
    assert data.labels is None
    assert sum("is passed over, because it holds no labels" in note for note in data.notes) == 2
    with pytest.raises(DataError, match=r"metadata\.csv holds no labels: line 1"):
        load_dataset(str(tmp_path), reading=Reading(labels=tmp_path / "metadata.csv"))


def test_a_given_file_that_does_not_exist_and_data_that_take_none(tmp_path: Path):
    pictures(tmp_path)
    with pytest.raises(DataError, match=r"the labels .*none\.csv cannot be read: No such file .*--labels"):
        load_dataset(str(tmp_path), reading=Reading(labels=tmp_path / "none.csv"))
    np.savez(tmp_path / "a.npz", images=tiny_images())
    with pytest.raises(DataError, match=r"a\.npz has its own labels: leave --labels out"):
        load_dataset(str(tmp_path / "a.npz"), reading=Reading(labels=tmp_path / "none.csv"))


def test_older_rules_look_for_no_labels(tmp_path: Path):
    (pictures(tmp_path) / "labels.csv").write_text(FORMS["labels.csv"])
    data = load_dataset(str(tmp_path), reading=Reading(rule=2))
    assert data.labels is None
    assert "ignored 1 file(s) of other kinds: 1 .csv" in data.notes
