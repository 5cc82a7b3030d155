"""The exhibit of a collapse is a complete recorded run, and a collapse by the rule of the training alarms."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

import app
from models.model_folder.history import History
from tests.app.checks import pixels
from training.recipe import load_recipe
from training.run.alarms import best_record, find_alarms

COLLAPSE = Path(app.__file__).parent / "static" / "exhibits" / "collapse"
MAX_PICTURES = 24
MAX_PICTURE_BYTES = 350_000


@pytest.fixture(scope="module")
def history() -> History:
    return History.model_validate_json((COLLAPSE / "history.json").read_bytes())


@pytest.fixture(scope="module")
def pictures() -> dict[int, Path]:
    """The pictures of timeline.json, by epoch."""
    index = json.loads((COLLAPSE / "timeline.json").read_bytes())
    assert set(index) == {"pictures"}
    return {entry["epoch"]: COLLAPSE / entry["url"] for entry in index["pictures"]}


def test_the_run_learns_digits_first(history):
    best = best_record(list(history.epochs))
    assert best is not None
    assert best.metrics["coverage"] > 0.4
    assert best.metrics["frechet"] < history.epochs[0].metrics["frechet"] / 3
    assert not any(event.epoch <= best.epoch for event in history.events)


def test_its_end_is_a_collapse_by_the_rule_of_the_alarms(history):
    records = list(history.epochs)
    assert [record.epoch for record in records] == list(range(1, len(records) + 1))
    fallen = [
        record.epoch for record in records if "collapse" in find_alarms(records[: record.epoch], loss="non-saturating")
    ]
    events = [event for event in history.events if event.kind == "collapse"]
    assert fallen == list(range(events[0].epoch, len(records) + 1))
    assert len(fallen) > 1
    assert records[-1].metrics["coverage"] < 0.01
    assert records[-1].metrics["smallest_share"] == 0


def test_the_page_says_which_game_it_played():
    """The README has the command that made the run."""
    (command,) = re.findall(r"fit mlp .*?(?=\n\n)", (COLLAPSE / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    recipe = load_recipe("mlp", re.findall(r"[\w.]+=\S+", command))
    page = Path(app.__file__).parent / "static" / "playground" / "views" / "learn.js"
    assert f'"{recipe.rules.describe(classes=0, packing=1)}"' in page.read_text(encoding="utf-8")
    assert recipe.rules.optimum() is None


def test_its_pictures_are_whole_and_of_one_size(history, pictures):
    assert 0 in pictures
    assert len(history.epochs) in pictures
    assert all(earlier < later for earlier, later in pairwise(pictures))
    assert len(pictures) <= MAX_PICTURES
    assert sum(path.stat().st_size for path in pictures.values()) < MAX_PICTURE_BYTES
    assert {pixels(path.read_bytes()).shape for path in pictures.values()} == {(242, 242)}  # 8 × 8 digits


def test_its_pictures_have_the_names_of_a_timeline_and_no_others_lie_there(pictures):
    assert [path.name for path in pictures.values()] == [f"{epoch:05d}.png" for epoch in pictures]
    assert set((COLLAPSE / "timeline").iterdir()) == set(pictures.values())


def test_all_64_images_of_the_last_picture_are_nearly_the_same_and_those_of_the_best_are_not(history, pictures):
    best = best_record(list(history.epochs))
    assert best is not None
    assert _mean_deviation(pictures[len(history.epochs)]) < _mean_deviation(pictures[best.epoch]) / 4


def _mean_deviation(path: Path) -> float:
    """Return a pixel's standard deviation over the 64 images of a grid, averaged over the pixels, in grey levels."""
    grid = pixels(path.read_bytes())[2:, 2:]  # 2 pixels of the frame follow each image of 28 pixels
    images = grid.reshape(8, 30, 8, 30).transpose(0, 2, 1, 3).reshape(64, 30, 30)
    return float(images[:, :28, :28].astype(float).std(axis=0).mean())
