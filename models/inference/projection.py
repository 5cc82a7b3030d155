"""Projection: the search for the latent whose image is nearest to a given image.

It minimises the mean squared error over pixels, with a weak pull of the latent towards 0, within the prior's bounds.
There are many minima, so the search starts from several points: the estimate of the model's encoder, if it has one, and
the best of many draws from the prior (Zhu et al. 2016, arXiv 1609.03552, start from an encoder; Lipton and Tripathi
2017, arXiv 1702.04782, and Creswell and Bharath 2016, arXiv 1611.05644, from draws). Each round keeps only the best.

Those papers use gradient descent. A latent has few coordinates, so the whole Jacobian of G costs as much as a batch of
z_dim images, and the damped Gauss–Newton method (Levenberg 1944; Marquardt 1963) gets closer in 10 steps than Adam in
200, in less time: see docs/decisions/0005-projection-by-gauss-newton.md.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import ImageShape, from_uint8
from models.inference.linearised import Linearised
from models.inference.quick_layers import with_quick_layers
from models.inference.sampler import Sampler
from models.inference.tiles import one_thread
from models.latents import UNIFORM_BOUND, Prior, draw_latents
from models.model_folder.loaded_model import LoadedModel
from models.networks.conditional import ballots_of, labels_of
from models.networks.quantised import without_rounding
from models.tone_curve import ToneCurve

DRAWS = 1024
"""Number of draws from the prior, of which the best become starting points."""

DRAWS_SEED = 1609

ROUNDS = ((10, 3), (4, 4), (1, 10))
"""For each round: the number of best latents that continue, and their number of steps."""

DAMPING = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of λ in Marquardt's damping, as shares of the mean curvature. Each step tries all of them."""

PULL = 1e-4
"""Weight of mean z² in the cost, for pixels in [−1, 1]. It determines the directions of z that change no pixel."""

BALL_DEVIATIONS = 2.0
"""The search stays within ‖z‖² ≤ d + this · √(2d), d = z_dim: ‖z‖² of a normal prior has mean d, deviation √(2d)."""


@dataclass(frozen=True)
class FoundLatent:
    """The result of a search.

    Attributes:
        latent: [z_dim] float32; its image is the nearest one that was found.
        restarts: number of latents from which the search started.
        steps: number of steps from its starting point to `latent`.
    """

    latent: NDArray[np.float32]
    restarts: int
    steps: int


class Projector:
    """A search for the latent of an image. On one machine the same image gives the same latent, bit for bit.

    One thread at a time may call it, and that thread must not be in inference mode, because G is differentiated.

    Args:
        generator: G in evaluation mode, [N, z_dim] float32 → [N, C, H, W] in [−1, 1]; shared, not changed.
        z_dim: width of a latent.
        prior: the latents' prior.
        image_shape: shape of G's images.
        classes: number of classes that latents can choose, or 0. A step rarely changes the class that a latent chooses,
            so the search starts from latents of different classes.
        encoder: the encoder, [N, C, H, W] float32 in [−1, 1] → latents [N, z_dim], or None.
        device: the device of the networks.
        tone_curve: the table that replaces the grey levels of G's images, or None. The search works with the levels
            before it, because many of them may become the same one, and then the curve has no useful gradient.
    """

    def __init__(
        self,
        generator: nn.Module,
        *,
        z_dim: int,
        prior: Prior,
        image_shape: ImageShape,
        classes: int = 0,
        encoder: nn.Module | None = None,
        device: torch.device | str = "cpu",
        tone_curve: ToneCurve | None = None,
    ) -> None:
        self.z_dim = z_dim
        self.prior: Prior = prior
        self.image_shape = image_shape
        self.classes = classes
        self.device = torch.device(device)
        self._tone_curve = tone_curve
        self._given = generator
        self._head_starts = ballots_of(generator).head_starts if classes else None
        self._encoder = encoder

    @classmethod
    def of_model(cls, model: LoadedModel, sampler: Sampler, *, with_encoder: bool = True) -> "Projector":
        """Make a projector for the G of a model folder.

        Args:
            model: the model folder.
            sampler: the model's `Sampler.of_model`; the two share G and the device.
            with_encoder: whether a search also starts from the estimate of the model's encoder, if it has one.
        """
        metadata = model.metadata
        encoder = model.encoder if with_encoder else None
        return cls(
            sampler.generator,
            z_dim=metadata.z_dim,
            prior=metadata.prior,
            image_shape=metadata.image_shape,
            classes=metadata.ballots,
            encoder=None if encoder is None else encoder.to(sampler.device),
            device=sampler.device,
            tone_curve=sampler.tone_curve,
        )

    @torch.no_grad()
    def __call__(self, image: NDArray[np.uint8]) -> FoundLatent:
        """Find the latent whose image is nearest to an image, [H, W] (grey) or [H, W, 3] (RGB) uint8.

        Raises:
            ValueError: the image has another shape or dtype.
        """
        if image.dtype != np.uint8 or image.shape != self.image_shape.array:
            raise ValueError(
                f"the image must be {list(self.image_shape.array)} uint8, not {list(image.shape)} {image.dtype}"
            )
        with one_thread():
            drawn = image if self._tone_curve is None else self._tone_curve.inverse(image)
            target = from_uint8(drawn[None]).to(self.device)
            z = self._starting_points(target, ROUNDS[0][0])
            restarts = len(z)
            for rows, steps in ROUNDS:
                z = z[self._costs(z, target).argsort(stable=True)[:rows]]
                for _ in range(steps):
                    z = torch.stack([self._step(row, target) for row in z])
            best = z[self._costs(z, target).argmin()]
        return FoundLatent(best.cpu().numpy(), restarts=restarts, steps=sum(steps for _, steps in ROUNDS))

    def _starting_points(self, target: torch.Tensor, n: int) -> torch.Tensor:
        """Return the latents from which the search starts: [m, z_dim], m ≤ n.

        They are the encoder's estimate, if there is an encoder, and those of `DRAWS` random latents whose images are
        nearest to the target; if there are classes, only the nearest one of each class.

        Args:
            target: the image that is searched for, [1, C, H, W] float32 in [−1, 1].
            n: the most latents to return.
        """
        draws, images = self._draws
        order = self._costs_of(draws, images, target).argsort(stable=True)
        if self._head_starts is not None:
            labels = labels_of(draws[order], head_starts=self._head_starts).tolist()
            order = order[sorted(labels.index(label) for label in set(labels))]
        points = draws[order]
        if self._encoder is not None:
            points = torch.cat([self._within(self._encoder(target)), points])
        return points[:n]

    def _step(self, z: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Take one damped Gauss–Newton step, [z_dim] → [z_dim]. The latent stays as it is if no damping helps."""
        image, jacobian = self._linearise(z)
        pull, eye = PULL / self.z_dim, torch.eye(self.z_dim, device=self.device)
        # Half of the cost's gradient, and of its Hessian without G's second derivatives.
        gradient = jacobian @ (image - target.flatten()) / len(image) + pull * z
        hessian = jacobian @ jacobian.T / len(image) + pull * eye
        if self.prior == "uniform":
            # Coordinates on a side of the box that would leave it are kept fixed (Bertsekas 1982).
            free = ((z.abs() < UNIFORM_BOUND) | (z * gradient > 0)).float()
            gradient = gradient * free
            hessian = hessian * free * free[:, None] + torch.diag(1 - free) * hessian.diag()
        damping = torch.tensor(DAMPING, device=self.device) * hessian.diag().mean()
        steps, _ = torch.linalg.solve_ex(hessian + damping[:, None, None] * eye, gradient.expand(len(damping), -1))
        tried = torch.cat([z[None], self._within(z - steps)])
        best: torch.Tensor = tried[self._costs(tried, target).argmin()]
        return best

    @cached_property
    def _generator(self) -> nn.Module:
        """G without rounding, because a rounded G has no useful gradient. It takes memory only once it is needed."""
        return with_quick_layers(without_rounding(self._given))

    @cached_property
    def _linearise(self) -> Linearised:
        return Linearised(self._generator)

    @cached_property
    def _draws(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The `DRAWS` random latents, [DRAWS, z_dim], and their images, [DRAWS, C, H, W]."""
        draws = torch.from_numpy(draw_latents(DRAWS_SEED, 0, DRAWS, z_dim=self.z_dim, prior=self.prior)).to(self.device)
        return draws, self._images(draws)

    def _images(self, z: torch.Tensor) -> torch.Tensor:
        """Draw the images of latents: [N, z_dim] → [N, C, H, W]."""
        return torch.cat([self._generator(part) for part in torch.split(z, 64)])  # in parts to limit memory

    def _costs(self, z: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the cost of each latent: [N, z_dim] → [N]."""
        return self._costs_of(z, self._images(z), target)

    def _costs_of(self, z: torch.Tensor, images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the cost of each latent, whose images are given. It is infinite where G gives NaN or infinity."""
        costs = (images - target).square().flatten(1).mean(dim=1) + PULL * z.square().mean(dim=1)
        return torch.where(torch.isfinite(costs), costs, torch.inf)

    def _within(self, z: torch.Tensor) -> torch.Tensor:
        """Move z to the nearest point within the prior's bounds: a uniform prior's box, or a normal prior's ball."""
        if self.prior == "uniform":
            return z.clamp(-UNIFORM_BOUND, UNIFORM_BOUND)
        radius = (self.z_dim + BALL_DEVIATIONS * (2 * self.z_dim) ** 0.5) ** 0.5
        inside: torch.Tensor = z * (radius / z.norm(dim=1, keepdim=True).clamp(min=radius))
        return inside
