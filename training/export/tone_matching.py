"""Find the tone curve of a finished G: its images then have the grey levels of the training images.

G's last layer is smooth, so it cannot draw the sharp peaks of a data set's histogram, and gradient penalties keep D
from seeing differences of a few grey levels. A classifier that is trained to tell samples from real images sees them.
"""

import torch
from torch import nn

from models.images import channels_first, to_float, to_uint8
from models.inference.sampler import Sampler
from models.latents import Prior, draw_latents
from models.tone_curve import ToneCurve, match_histograms
from training.evaluation.parallel import run_in_parts

SEED, SAMPLES = 2, 10_000
"""The seed and the number of the samples whose histogram is matched; no evaluated sample is among them."""


def find_tone_curve(sampler: Sampler, images: torch.Tensor, *, prior: Prior) -> ToneCurve:
    """Return the curve for this G.

    Args:
        sampler: the sampler of G, without a tone curve.
        images: the training images, [N, C, H, W] uint8, N ≥ 1.
        prior: the prior of G's latents.
    """
    latents = draw_latents(SEED, 0, SAMPLES, z_dim=sampler.z_dim, prior=prior)
    return match_histograms(run_in_parts(sampler, latents), images.numpy(force=True))


def with_tone_curve(generator: nn.Module, tone_curve: ToneCurve | None) -> nn.Module:
    """Return a network that draws what the model draws; without a tone curve, G itself."""
    return generator if tone_curve is None else _TonedGenerator(generator, tone_curve)


class _TonedGenerator(nn.Module):
    """G with a tone curve: latents [N, z_dim] float32 → [N, C, H, W] float32 in [−1, 1]. It has no gradient."""

    def __init__(self, generator: nn.Module, tone_curve: ToneCurve) -> None:
        super().__init__()
        self.generator = generator
        self._tone_curve = tone_curve

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return to_float(channels_first(self._tone_curve(to_uint8(self.generator(latents)))))
