"""The advice for fewer than 1,000 training images, and a run on 50 pictures with it."""

from pathlib import Path

import pytest

from tests.training.support import make_config, play, tiny_images, tiny_recipe, write_npz, write_pngs
from training.cli.small_sets import STEPS, advise_on_small_set
from training.config import RunConfig
from training.run.folder import RunFolder


def config_of(tmp_path: Path, *overrides: str, n: int = 100) -> RunConfig:
    return make_config(tiny_recipe("conv", *overrides), write_npz(tmp_path / "data.npz", tiny_images(n)))


@pytest.mark.parametrize(("train_images", "lines"), [(999, 3), (1000, 0)])
def test_both_sides_of_the_limit(tmp_path: Path, train_images: int, lines: int) -> None:
    config = config_of(tmp_path).model_copy(update={"train_images": train_images})
    assert len(advise_on_small_set(config)) == lines


def test_the_advice_names_settings_that_make_a_valid_run(tmp_path: Path) -> None:
    config = config_of(tmp_path, "epochs=3", "metrics_every_epochs=1")
    expectation, settings, mirror = advise_on_small_set(config)
    assert expectation.startswith("there are only 90 training images and 10 held-out ones: ")
    overrides = settings.partition("`--set ")[2].partition("`")[0].split(" ")
    assert overrides == ["epochs=500", "metrics_every_epochs=10", "grid_every_epochs=10"]
    target, _, names = mirror.partition("--set ")[2].partition("`")[0].partition(" ")
    names = names.strip("'")
    assert names == 'augmentations=["mirror", "translation", "cutout"]'
    followed = config_of(tmp_path, *overrides, target, names)
    assert followed.total_steps == STEPS == 500 * (90 // 9)
    assert advise_on_small_set(followed) == (expectation,)


def test_no_metrics_are_advised_where_they_are_off(tmp_path: Path) -> None:
    assert "metrics_every_epochs" not in advise_on_small_set(config_of(tmp_path, "epochs=3"))[1]


def test_a_model_to_begin_with_is_not_advised_where_there_is_one(tmp_path: Path) -> None:
    config = config_of(tmp_path, "epochs=3")
    assert "--init-from" in advise_on_small_set(config)[1]
    begun = advise_on_small_set(config.model_copy(update={"init_from": "pets@0123456789ab"}))
    assert len(begun) == 3
    assert "--init-from" not in "".join(begun)
    assert begun[1].endswith("grid_every_epochs=10`")


def test_a_run_on_fifty_pictures_keeps_the_augmentation_on_record(tmp_path: Path) -> None:
    """45 images are trained on, and p follows the 5 others; p is in the records, in the log and in the curves."""
    data = write_pngs(tmp_path / "data", tiny_images(50, channels=3))
    recipe = tiny_recipe(
        *("conv", "epochs=2", "augmentation_target=0.5", "augmentation=0.1", "batch_size=15", "metrics_every_epochs=2"),
        'augmentations=["mirror", "affine", "colour", "translation", "cutout"]',
    )
    folder = RunFolder(tmp_path / "run")
    config = make_config(recipe, data)
    folder.create(config)
    play(folder, config)
    first, second = folder.read_history().epochs
    assert first.metrics.keys() == {"augmentation", "overfitting"}
    assert second.metrics.keys() > {"augmentation", "overfitting", "frechet"}
    assert abs(first.metrics["augmentation"] - 0.1) == pytest.approx(15 * 4 / 50_000)  # one measurement in 3 steps
    log = folder.log_file.read_text()
    assert f"augmentation {first.metrics['augmentation']:.3f}  overfitting {first.metrics['overfitting']:.3f}" in log
    assert log.count("samples:") == 1
