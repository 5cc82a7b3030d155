"""Strange data folders: each is loaded as it should be, or refused with its reason; nothing is lost silently."""

from pathlib import Path

import pytest
import torch

from reliability.hostile.data_folders import CASES
from training.data.dataset import Dataset, load_dataset
from training.errors import DataError


def test_there_are_many():
    assert len(CASES) >= 100


@pytest.mark.parametrize("name", CASES)
def test_a_strange_data_folder(tmp_path: Path, name: str):
    case = CASES[name]
    source, expected = case.make(tmp_path), case.expected
    if expected.error:
        with pytest.raises(DataError) as caught:
            load_dataset(str(source))
        assert expected.error in str(caught.value)
        assert str(caught.value).isprintable()
        return
    data = load_dataset(str(source))
    images = torch.cat([data.images, data.held_out])
    assert len(images) == expected.images
    assert len(data.held_out) == (expected.images // 10 if expected.held_out is None else expected.held_out)
    assert data.class_names == expected.classes
    check_notes(data, expected.notes)
    if expected.colour is not None:
        assert images.shape[1] == len(expected.colour)
        assert (images == torch.tensor(expected.colour)[None, :, None, None]).all()


def check_notes(data: Dataset, wanted: tuple[str, ...]) -> None:
    """Check that each wanted text stands in a note, and that there are no notes if none is wanted."""
    told = (*data.notes, *data.skipped)
    for text in wanted:
        assert any(text in note for note in told), (text, told)
    assert all(note.isprintable() for note in told)
    usual = (
        "is trained on",
        "equal to a training image",
        "equal to another",
        "occur more than",
    )  # most pictures here are copies
    if not wanted:
        assert [note for note in told if not any(text in note for text in usual)] == []
