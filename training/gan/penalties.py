"""Gradient penalties: they keep D smooth, so that its gradient is a useful direction for G.

Each is the mean over images of a function of ‖∇ₓ D(x)‖; D's step differentiates it again, with respect to D's weights.
"""

import torch

from models.networks.batch_part import WHOLE, Part


def squared_gradient_norms(logits: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return ‖∇ₓ logit‖² of each image: [N], differentiable with respect to D's weights.

    γ/2 times its mean is R1 on real images and R2 on fakes: Mescheder et al. 2018 (arXiv 1801.04406), section 4.1.

    Args:
        logits: D's logits of `images`, [N].
        images: [N, C, H, W] float32; they must require gradients.
    """
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.float().square().flatten(1).sum(dim=1)


def interpolated(real: torch.Tensor, fake: torch.Tensor, *, rng: torch.Generator, part: Part = WHOLE) -> torch.Tensor:
    """Draw a point uniformly between each real image and the fake of the same row: [N, C, H, W], requiring gradients.

    WGAN-GP's penalty is (‖∇D‖ − 1)² at these points: Gulrajani et al. 2017 (arXiv 1704.00028), equation 3.

    Args:
        real: [N, C, H, W] float32 in [−1, 1].
        fake: [N, C, H, W] in [−1, 1]; no gradient flows back to it.
        rng: the source of the weights between the two.
        part: the rows of the whole batch that these images are; the weights are drawn for the whole batch.
    """
    weight = part.of(torch.rand(part.whole(len(real)), 1, 1, 1, generator=rng, device=real.device))
    return torch.lerp(real, fake.detach().to(real.dtype), weight).requires_grad_()
