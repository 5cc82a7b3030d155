"""The pictures of a run folder can be read back as the images that G drew."""

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from tests.training.support import make_config, make_game, play, report, tiny_images, tiny_recipe, write_npz
from training.errors import RunError
from training.pictures import encode_png
from training.run.fixed_grid import draw_fixed_images, draw_grid
from training.run.folder import RunFolder

SIDE = 16


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_are_the_images_that_were_drawn_to_the_last_pixel(tmp_path: Path, channels: Literal[1, 3]):
    recipe = tiny_recipe("conv")
    config = make_config(recipe, write_npz(tmp_path / "data.npz", tiny_images(channels=channels)))
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    wanted = {}
    for epoch in (0, 2, 5):
        generator = make_game(recipe, seed=epoch, channels=channels).average.network
        wanted[epoch] = draw_fixed_images(generator, config)
        folder.write_grid(epoch, draw_grid(generator, config))
    seen = folder.read_samples(side=SIDE, last=4)
    assert list(seen) == [0, 2]
    for epoch, samples in seen.items():
        assert samples.shape == (64, channels, SIDE, SIDE)
        assert samples.dtype == torch.uint8
        images = wanted[epoch].reshape(64, SIDE, SIDE, channels)
        assert (samples.numpy() == images.transpose(0, 3, 1, 2)).all()
        assert len(np.unique(images)) > 10  # the pictures are not of one plain grey
    assert list(folder.read_samples(side=SIDE, last=5)) == [0, 2, 5]


def test_a_best_state_that_is_lost_is_not_replaced_by_the_last_one(tmp_path: Path):
    config = make_config(tiny_recipe("mlp", "epochs=2", "metrics_every_epochs=1"), write_npz(tmp_path / "data.npz"))
    folder = RunFolder(tmp_path / "run")
    folder.create(config)
    with pytest.MonkeyPatch.context() as patch:
        report(lambda epoch, _rollbacks: {"frechet": 7.0 + epoch, "coverage": 0.8}, patch=patch.setattr)
        play(folder, config)
    assert folder.saved_state() == folder.best_file
    folder.best_file.unlink()
    with pytest.raises(
        RunError, match=r"best.safetensors is lost: .* of epoch 1 with the Fréchet distance 8\. Restore"
    ):
        folder.saved_state()
    assert folder.saved_state("last") == folder.checkpoint_file
    shutil.copy(folder.checkpoint_file, folder.best_file)
    assert folder.saved_state() == folder.best_file


def test_only_the_pictures_of_the_run_are_read_and_dropped(tmp_path: Path):
    folder = RunFolder(tmp_path)
    folder.grids.mkdir()
    strange = [
        "copy.png",
        "._00000.png",
        ".DS_Store",
        "-0001.png",
        "00001 copy.png",
        "1.png",
        "000001.png",
        "٠٠٠٠١.png",
    ]
    for name in strange:
        (folder.grids / name).write_bytes(b"")
    for epoch in (0, 3, 123456):
        folder.write_grid(epoch, b"png")
    assert [path.name for path in folder.grid_files().values()] == ["00000.png", "00003.png", "123456.png"]
    folder.drop_grids_after(0)
    assert {path.name for path in folder.grids.iterdir()} == {*strange, "00000.png"}


def test_a_new_run_may_begin_where_a_file_manager_has_been(tmp_path: Path):
    folder = RunFolder(tmp_path)
    folder.grids.mkdir()
    for place in (folder.path, folder.grids):
        (place / ".DS_Store").write_bytes(b"")
        (place / "._00000.png").write_bytes(b"")
    folder.check_new()
    (folder.grids / "._pictures").mkdir()
    with pytest.raises(RunError, match="is not empty"):
        folder.check_new()


def test_a_damaged_picture_is_named(tmp_path: Path):
    folder = RunFolder(tmp_path)
    folder.grids.mkdir()
    whole = encode_png(np.zeros((8 * 18 + 2, 8 * 18 + 2), np.uint8))
    for damaged, why in (
        (whole[:60], "not a whole PNG"),
        (b"", "not a whole PNG"),
        (b"GIF89a" + whole, "not a whole PNG"),
        (encode_png(np.zeros((20, 21), np.uint8)), "is not a grid of 16 × 16 images"),
    ):
        folder.write_grid(0, whole)
        folder.write_grid(3, damaged)
        with pytest.raises(RunError) as error:
            folder.read_samples(side=SIDE, last=3)
        assert str(error.value).startswith(f"{folder.grids / '00003.png'} is damaged: ")
        assert why in str(error.value)
        assert list(folder.read_samples(side=SIDE, last=2)) == [0]
