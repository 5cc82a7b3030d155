"""Splits and subsets: shuffled by a fixed seed, and stratified, also if the data come sorted by class."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.training.support import tiny_images, write_pngs
from training.data.dataset import Dataset, load_dataset
from training.data.labels import Labels
from training.data.split import split, stratified_order
from training.errors import DataError


def sorted_npz(path: Path, counts: list[int]) -> Dataset:
    """Load images that are sorted by class, with `counts` of each; an image's first pixel is its class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 16, 16), dtype=np.uint8)
    images[:, 0, 0] = labels
    np.savez(path, images=images, labels=labels)
    return load_dataset(str(path))


def shares(images: torch.Tensor, classes: int) -> NDArray[np.float64]:
    return np.bincount(images[:, 0, 0, 0].numpy(), minlength=classes) / len(images)


def test_every_slice_of_sorted_classes_has_all_of_them(tmp_path: Path):
    """The log compares with the last training images, evaluate with others, and train_images takes the first."""
    data = sorted_npz(tmp_path / "a.npz", [400] * 10)
    slices = [data.held_out, data.held_out[:64], data.images[-500:], data.images[:200], data.images[2500:3000]]
    for images in slices:
        np.testing.assert_allclose(shares(images, 10), 0.1, atol=0.02)
    assert torch.equal(data.first(200).images, data.images[:200])
    assert data.labels is not None
    assert (data.labels == data.images[:, 0, 0, 0]).all()


def test_unequal_classes_keep_their_shares(tmp_path: Path):
    data = sorted_npz(tmp_path / "a.npz", [700, 200, 90, 10])
    for images in (data.images, data.images[:300], data.images[-300:], data.held_out):
        np.testing.assert_allclose(shares(images, 4), [0.7, 0.2, 0.09, 0.01], atol=1.01 / len(images))


def test_a_subset_leaves_no_class_out_while_there_is_room(tmp_path: Path):
    data = sorted_npz(tmp_path / "a.npz", [10] * 200)
    assert len(set(data.first(300).images[:, 0, 0, 0].tolist())) == 200
    assert data.first(300).notes == data.notes == ()
    few = data.first(150)
    assert few.classes == 200
    assert few.notes == ("train_images=150 leaves images of 150 of 200 classes: give a larger number",)
    assert few.class_shares().shape == (200,)


def test_a_class_of_one_image_stays_in_training(tmp_path: Path):
    data = sorted_npz(tmp_path / "a.npz", [60, 1, 60, 1, 1])
    assert data.labels is not None
    assert torch.bincount(data.labels)[[1, 3, 4]].tolist() == [1, 1, 1]
    assert set(data.held_out[:, 0, 0, 0].tolist()) == {0, 2}
    told = "3 of 5 class(es) have too few images to hold one out; all of theirs are trained on: 1, 3, 4"
    assert data.notes == (told,)


@pytest.mark.parametrize(("n", "classes", "stratified"), [(40, 36, True), (40, 37, False), (40, 40, False)])
def test_more_classes_than_can_stay_in_training(n: int, classes: int, stratified: bool):
    labels = Labels(np.arange(n) % classes, tuple(map(str, range(classes))))
    found = split(n, labels, skipped=0)
    assert sorted([*found.train, *found.held_out]) == list(range(n))
    assert (len(set(labels.values[found.train])) == classes) == stratified
    assert ("without regard to their classes" in "".join(found.notes)) != stratified


def test_data_without_labels_hold_out_the_same_images_as_before_classes_mattered():
    old = np.random.Generator(np.random.Philox(0)).permutation(73)[:7]
    found = split(73, None, skipped=0)
    assert set(found.held_out) == set(old)
    assert not np.array_equal(found.train, np.sort(found.train))  # they may be sorted by what they show


def test_the_order_is_that_of_huntington_and_hill():
    """The seats are given one by one, by an independent loop."""
    labels = np.repeat([0, 1, 2, 3], [53, 31, 7, 1])
    order = labels[stratified_order(labels)]
    taken = dict.fromkeys(range(4), 0)
    counts = np.bincount(labels)
    for chosen in order.tolist():
        priority = {k: counts[k] / np.sqrt(r * (r + 1)) if r else np.inf for k, r in taken.items() if r < counts[k]}
        assert priority[chosen] == max(priority.values())
        taken[chosen] += 1
    assert sorted(stratified_order(labels)) == list(range(92))


def test_train_and_test_folders_are_the_split(tmp_path: Path):
    for name, n in (("train/a", 15), ("train/b", 15), ("test/a", 3), ("test/b", 3), ("val/a", 2)):
        write_pngs(tmp_path / name, tiny_images(n, seed=len(name) + n))
    data = load_dataset(str(tmp_path))
    assert (len(data.images), len(data.held_out), data.class_names) == (30, 6, ("a", "b"))
    assert data.notes[:2] == (
        f"{tmp_path}/train is trained on, and {tmp_path}/test is held out",
        f"{tmp_path}/val is not used",
    )
    (copies,) = data.notes[2:]  # both folders hold the same pictures
    assert copies.startswith("30 of the 30 training images are equal to another training image, or nearly so (30 in")


@pytest.mark.parametrize(
    ("folders", "note"),
    [
        (("train", "test", "extra"), "test and train are taken as classes, because extra is beside them"),
        (("Train", "val", "x", "y"), "Train and val are taken as classes, because x, y are beside them"),
        (("test", "val"), "test and val are taken as classes, because no folder `train` is beside them"),
        (
            ("train", "training", "test"),
            "test and train and training are taken as classes, because train and training are both for training",
        ),
        (("train", "car"), None),  # vehicles
    ],
)
def test_splits_that_are_taken_as_classes_are_noted(tmp_path: Path, folders: tuple[str, ...], note: str | None):
    for seed, folder in enumerate(folders):
        write_pngs(tmp_path / folder, tiny_images(10, seed=seed))
    data = load_dataset(str(tmp_path))
    assert data.class_names == tuple(sorted(folders))
    assert data.notes == (() if note is None else (note,))


def test_splits_beside_a_picture_are_noted(tmp_path: Path):
    for seed, folder in enumerate(("train", "test", ".")):
        write_pngs(tmp_path / folder, tiny_images(10, seed=seed)[: 1 if folder == "." else 10])
    note = "test and train are not taken as training and test sets, because 000.png is beside them"
    assert note in load_dataset(str(tmp_path)).notes


def test_a_test_set_without_an_image(tmp_path: Path):
    images = tiny_images(20)
    np.savez(tmp_path / "data.npz", x_train=images, x_test=images[:0])
    with pytest.raises(DataError, match="the test set has no image that can be read; at least 2 are needed"):
        load_dataset(str(tmp_path / "data.npz"))
    np.savez(tmp_path / "data.npz", images=images[:1])
    with pytest.raises(DataError, match="there is 1 image; at least 20 are needed"):
        load_dataset(str(tmp_path / "data.npz"))


def test_a_test_set_of_one_image_and_classes_that_only_it_has(tmp_path: Path):
    write_pngs(tmp_path / "train" / "a", tiny_images(10))
    write_pngs(tmp_path / "train" / "b", tiny_images(10, seed=1))
    write_pngs(tmp_path / "test" / "x", tiny_images(1))
    with pytest.raises(DataError, match="the test set has 1 image that can be read; at least 2 are needed"):
        load_dataset(str(tmp_path))
    write_pngs(tmp_path / "test" / "y", tiny_images(1))
    assert load_dataset(str(tmp_path)).notes[-1] == "2 class(es) are only in the test set: x, y"
