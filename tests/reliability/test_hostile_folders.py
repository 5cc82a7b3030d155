"""The folders of the trial, without its service: each is refused with its own message; names that cannot be shown."""

import json
import logging
from pathlib import Path

import pytest
import torch

from app.api.schemas.models import ModelsAnswer, ModelSummary
from app.inference.catalog import load_catalog
from harness.tiny_models import make_tiny_model_folder
from models.errors import ModelFolderError
from models.model_folder.read import load_model
from reliability.hostile.model_folders import DAMAGES, NAMES

SLOW = ("1,000,000", "200,000", "20,000", "10,000")


@pytest.mark.parametrize("kind", [kind for kind in DAMAGES if not any(number in kind for number in SLOW)])
def test_each_folder_has_its_message(tmp_path: Path, kind: str):
    damage, message = DAMAGES[kind]
    models = tmp_path / "work" / "models"
    models.mkdir(parents=True)
    make_tiny_model_folder(models / "good")
    damage(make_tiny_model_folder(models / "bad"))
    catalog = load_catalog(models, default="good", device=torch.device("cpu"))
    assert list(catalog.models) == ["good"]
    assert message in catalog.broken["bad"]
    assert str(tmp_path) not in catalog.broken["bad"]
    with pytest.raises(ModelFolderError):
        load_model(models / "bad")


def test_names_that_cannot_be_shown_are_escaped(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for number, make in enumerate(NAMES):
        make(tmp_path, number)
    with caplog.at_level(logging.ERROR):
        broken = load_catalog(tmp_path, default="good", device=torch.device("cpu")).broken
    assert len(broken) == len(NAMES)
    assert {"line\\nend", "\\x1b[2J", "\\udcff\\udcfe", "a b"} < set(broken)
    listed = [ModelSummary(name=name, ready=False, error=error) for name, error in broken.items()]
    answer = ModelsAnswer(default=None, models=listed).model_dump_json()
    assert len(json.loads(answer.encode())["models"]) == len(NAMES)
    assert all(text.isprintable() for name, error in broken.items() for text in (name, error))
    assert all("\n" not in record.getMessage() for record in caplog.records)
