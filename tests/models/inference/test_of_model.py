"""`of_model` of sampler, scorer and projector gives the same results as building them from the model's parts."""

from pathlib import Path

import numpy as np
import torch

from harness.tiny_models import make_tiny_model_folder
from models.inference.projection import Projector
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.model_folder.read import load_model
from models.networks.encoder import Encoder


def test_the_sampler_and_the_scorer_are_the_folders_g_and_d(tmp_path: Path) -> None:
    model = load_model(make_tiny_model_folder(tmp_path / "tiny"))
    latents = model.draw_latents(1, 0, 20)
    images = Sampler.of_model(model)(latents)
    with torch.inference_mode():
        grey = (model.generator(torch.from_numpy(latents)).double().numpy()[:, 0] + 1) * 127.5
        logits = model.discriminator(torch.from_numpy(images)[:, None] / 127.5 - 1).numpy()
    assert np.abs(images - grey).max() <= 0.5 + 1e-2
    np.testing.assert_allclose(Scorer.of_model(model)(images), logits, rtol=1e-4, atol=1e-5)


def test_the_projector_starts_from_the_encoder_unless_it_is_left_out(tmp_path: Path) -> None:
    model = load_model(make_tiny_model_folder(tmp_path / "encoding", encoder=Encoder(widths=(6,))))
    asked: list[int] = []
    assert model.encoder is not None
    model.encoder.register_forward_hook(lambda *_: asked.append(1))
    sampler = Sampler.of_model(model)
    image = sampler(model.draw_latents(1, 0, 1))[0]
    found = Projector.of_model(model, sampler, with_encoder=False)(image)
    assert (found.latent.shape, asked) == ((8,), [])
    Projector.of_model(model, sampler)(image)
    assert asked == [1]
