"""The name of a data set is made of its path."""

from pathlib import Path

import pytest

from training.data.title import title_of


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("cifar10", "cifar10"),
        ("cifar10/train", "cifar10"),
        ("cifar10/data/Images", "cifar10"),
        ("cats/pictures", "pictures"),
        ("v1.0", "v1.0"),
    ],
)
def test_folders(tmp_path: Path, path: str, title: str):
    (tmp_path / path).mkdir(parents=True)
    assert title_of(str(tmp_path / path)) == title


@pytest.mark.parametrize(
    ("path", "title"),
    [("cats.zip", "cats"), ("cats/train.npz", "train"), ("cats/train.zip", "cats"), ("cats/data/images.tar", "cats")],
)
def test_files(tmp_path: Path, path: str, title: str):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    assert title_of(str(tmp_path / path)) == title


def test_a_pattern_has_the_name_of_its_folder(tmp_path: Path):
    (tmp_path / "cats" / "train").mkdir(parents=True)
    assert title_of(str(tmp_path / "cats" / "train" / "shard-{000..009}.tar")) == "cats"


def test_no_name_comes_from_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "ann" / "images").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    assert title_of(str(tmp_path / "ann" / "images")) == "images"
    monkeypatch.chdir(tmp_path / "ann" / "images")
    assert title_of(".") == "images"
