"""Truncation keeps the class: with any ψ, the classifier reads the requested digits as often as without truncation."""

import numpy as np
import pytest
import torch

from models import bundled_models_dir
from models.inference.sampler import Sampler
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.read import load_model
from training.evaluation.classifier import accuracy, load_classifier

EACH = 100
"""Number of images of each digit."""


@pytest.mark.parametrize("name", ["mnist-mlp", "mnist-conv"])
def test_truncated_images_show_the_requested_digit(name: str) -> None:
    model = load_model(bundled_models_dir() / name)
    untruncated = share_right(model, 1.0)
    assert untruncated > 0.9
    for psi in (0.1, 0.3, 0.5):
        assert share_right(model, psi) > untruncated - 0.02, psi


def share_right(model: LoadedModel, psi: float) -> float:
    """Return the share of images in which the classifier reads the digit that was requested."""
    sampler = Sampler.of_model(model)
    labels = np.repeat(np.arange(10), EACH)
    latents = np.concatenate([model.draw_latents(7, 0, EACH, truncation=psi, label=digit) for digit in range(10)])
    return accuracy(load_classifier(), torch.from_numpy(sampler(latents))[:, None], torch.from_numpy(labels))
