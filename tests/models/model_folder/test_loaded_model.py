"""The latents that a loaded model draws."""

from pathlib import Path

import numpy as np
import pytest

from harness.tiny_models import make_tiny_model_folder
from models import errors
from models.latents import draw_latents
from models.model_folder.read import load_model


def test_a_model_draws_its_own_latents(tmp_path: Path) -> None:
    model = load_model(make_tiny_model_folder(tmp_path / "three", prior="uniform", classes=3))
    drawn = model.draw_latents(5, 2, 40, truncation=0.5)
    wanted = draw_latents(5, 2, 40, z_dim=8, prior="uniform", truncation=0.5, ballots=3)
    np.testing.assert_array_equal(drawn, wanted)
    for label in range(3):
        asked = model.draw_latents(5, 2, 40, truncation=0.5, label=label)
        assert (asked[:, -3:] + model.head_starts).argmax(axis=1).tolist() == [label] * 40
        np.testing.assert_array_equal(asked[:, :-3], drawn[:, :-3])
        full = model.draw_latents(5, 2, 40, label=label)
        np.testing.assert_array_equal(asked[:, -3:], full[:, -3:])  # truncation leaves the choice of the class alone
        np.testing.assert_array_equal(model.draw_latents(5, 7, 1, truncation=0.5, label=label)[0], asked[5])
    with pytest.raises(errors.ClassError, match="the class must be 0 to 2, not 3"):
        model.draw_latents(5, 0, 1, label=3)


def test_a_model_without_classes_cannot_be_asked_for_one(good: Path) -> None:
    model = load_model(good)
    with pytest.raises(errors.ClassError, match="the model has no classes"):
        model.draw_latents(5, 0, 1, label=0)
