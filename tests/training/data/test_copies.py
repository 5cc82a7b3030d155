"""Copies in a person's own data: equal images on both sides of the split, and pictures that occur many times."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from tests.training.support import tiny_images, write_npz, write_pngs
from training.data.copies import MANY, note_copies
from training.data.dataset import load_dataset
from training.evaluation.metrics import NEAREST


def test_the_limit_is_the_number_of_neighbours_that_figures_look_at() -> None:
    assert MANY == NEAREST


def test_different_images_give_no_note(tmp_path: Path) -> None:
    assert load_dataset(str(write_pngs(tmp_path / "data", tiny_images(40)))).notes == ()


def test_a_copy_of_each_file_is_found_on_both_sides_of_the_split(tmp_path: Path) -> None:
    """Half of the files are copies, links or another format of others: most held-out images are trained on, too."""
    folder = write_pngs(tmp_path / "data", tiny_images(40))
    for index, file in enumerate(sorted(folder.iterdir())):
        if index % 2:
            (folder / f"link-{file.name}").symlink_to(file)
        else:
            shutil.copy(file, folder / f"copy of {file.name}")
    data = load_dataset(str(folder))
    trained_on = {image.numpy().tobytes() for image in data.images}
    leaked = sum(image.numpy().tobytes() in trained_on for image in data.held_out)
    assert leaked
    repeated = sum(n for n in Counter(image.numpy().tobytes() for image in data.images).values() if n > 1)
    of_held_out, of_training = data.notes
    assert of_held_out.startswith(
        f"{leaked} of the 8 held-out images are equal to a training image, or nearly so ({leaked} in every pixel; for "
        "example, "
    )
    assert of_held_out.endswith(
        "), so figures about held-out images look better than they are: take the copies out of the data"
    )
    assert of_training.startswith(
        f"{repeated} of the 72 training images are equal to another training image, or nearly so ({repeated} in every "
        "pixel; for example, "
    )
    for note in data.notes:  # the two files of an example differ only in "copy of", "link-"
        examples = note.partition("; for example, ")[2].partition("), so")[0].split("; ")
        assert len(examples) == 2
        for example in examples:
            one, other = (
                Path(file).name.removeprefix("copy of ").removeprefix("link-") for file in example.split(" and ")
            )
            assert one == other


def test_copies_in_a_test_set_and_in_an_npz(tmp_path: Path) -> None:
    images = tiny_images(30)
    np.savez(tmp_path / "data.npz", x_train=images, x_test=np.concatenate([images[:3], tiny_images(5, seed=1)]))
    assert [note for note in load_dataset(str(tmp_path / "data.npz")).notes if "3 of the 8 held-out images" in note]


def test_a_picture_that_occurs_more_often_than_it_has_neighbours(tmp_path: Path) -> None:
    images = np.concatenate([np.repeat(tiny_images(1), MANY, axis=0), tiny_images(40, seed=1)])
    path = write_npz(tmp_path / "data.npz", images)
    assert not [note for note in load_dataset(str(path)).notes if "more than 5 times" in note]
    six = torch.from_numpy(np.repeat(tiny_images(10), MANY + 1, axis=0))[:, None]
    notes = note_copies(six, six[:6])
    assert notes[0].startswith("6 of the 6 held-out images are equal")
    assert notes[1].startswith("60 of the 60 training images are equal")
    assert [note.partition(",")[0] for note in notes[2:]] == [
        "60 of the 60 training images occur more than 5 times",
        "6 of the 6 held-out images occur more than 5 times",
    ]
