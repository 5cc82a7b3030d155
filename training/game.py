"""The minimax game: algorithm 1 of Goodfellow et al. 2014, one batch at a time."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from models.goodfellow2014 import Dropout
from models.images import ImageShape
from models.latents import Prior
from training.ema import EMA
from training.errors import NotFiniteError
from training.losses import GENERATOR_LOSSES, discriminator_loss
from training.recipe import SGD, Adam, Optimiser, Recipe


@dataclass(frozen=True)
class DiscriminatorStep:
    """What one D step saw, means over its batch, from before the step."""

    loss: float
    d_real: float
    d_fake: float

    @classmethod
    def of(cls, real_logits: torch.Tensor, fake_logits: torch.Tensor, loss: torch.Tensor) -> "DiscriminatorStep":
        """The means of D's outputs, and its loss.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        with torch.no_grad():
            d_real, d_fake = torch.sigmoid(real_logits).mean(), torch.sigmoid(fake_logits).mean()
        return cls(_finite("D's loss", loss), float(d_real), float(d_fake))


class Game:
    """G, D, their optimisers, G's average, and the random numbers they play with.

    Args:
        recipe: all settings; `precision` must be resolved, not "auto".
        shape: shape of the images.
        pixel_means: [C, H, W] in [0, 1], the data's mean image.
        seed: of the initial weights, the latents and the dropout masks.
        device: where to play.
    """

    def __init__(
        self, recipe: Recipe, *, shape: ImageShape, pixel_means: torch.Tensor, seed: int, device: torch.device
    ) -> None:
        self.recipe = recipe
        self.device = device
        self.generator = recipe.architecture.generator(z_dim=recipe.z_dim, image_shape=shape)
        self.discriminator = recipe.architecture.discriminator(image_shape=shape)
        # On the CPU, whatever the device: the same seed starts from the same weights everywhere.
        weights_rng = torch.Generator().manual_seed(seed)
        recipe.architecture.initialise(self.generator, self.discriminator, rng=weights_rng, pixel_means=pixel_means)
        self.generator.to(device).train()
        self.discriminator.to(device).train()
        self.average = EMA(self.generator, halflife_images=recipe.ema_halflife_images)

        self.rng = torch.Generator(device).manual_seed(seed + 1)
        for layer in self.discriminator.modules():
            if isinstance(layer, Dropout):
                layer.rng = self.rng

        self.generator_optimiser = _optimiser(recipe.generator_optimiser, self.generator, device)
        self.discriminator_optimiser = _optimiser(recipe.discriminator_optimiser, self.discriminator, device)

    def set_rates(self, *, step: int, steps: int, epoch: int) -> None:
        """Set learning rates and momentum for G's step `step` (from 0) of `steps`, in epoch `epoch` (from 1)."""
        for settings, optimiser in (
            (self.recipe.generator_optimiser, self.generator_optimiser),
            (self.recipe.discriminator_optimiser, self.discriminator_optimiser),
        ):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate_at(step, steps=steps)
                if isinstance(settings, SGD):
                    group["momentum"] = settings.momentum_at(epoch)

    def discriminator_step(self, real: torch.Tensor) -> DiscriminatorStep:
        """One ascent of V(G, D) in D's weights; G's weights are left as they are.

        Args:
            real: [N, C, H, W] float32 in [−1, 1].

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        n = len(real)
        with self._autocast():
            with torch.no_grad():
                fake = self.generator(self.draw_latents(n))
            # Real and fake in one pass: there is no batch normalisation in D through which they could see each other.
            logits = self.discriminator(torch.cat([real, fake.to(real.dtype)])).float()
        real_logits, fake_logits = logits[:n], logits[n:]
        loss = discriminator_loss(real_logits, fake_logits)
        seen = DiscriminatorStep.of(real_logits, fake_logits, loss)
        _descend(loss, self.discriminator, self.discriminator_optimiser)
        return seen

    def generator_step(self, n: int) -> float:
        """One step of G against the current D, on n fresh latents; D's weights are left as they are. Returns G's loss.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        with self._autocast():
            logits = self.discriminator(self.generator(self.draw_latents(n))).float()
            loss = GENERATOR_LOSSES[self.recipe.loss](logits)
        number = _finite("G's loss", loss)
        _descend(loss, self.generator, self.generator_optimiser)
        return number

    def simultaneous_step(self, real: torch.Tensor) -> tuple[DiscriminatorStep, float]:
        """One step of D and one of G from the same samples, both through D as it was before: the paper's code.

        Algorithm 1 steps D first and then G on fresh latents; the authors' published code takes both gradients at
        once, through the same dropout masks. Returns what D's step saw, and G's loss.

        Args:
            real: [N, C, H, W] float32 in [−1, 1].

        Raises:
            NotFiniteError: a loss is NaN or infinite.
        """
        n = len(real)
        with self._autocast():
            fake = self.generator(self.draw_latents(n))
            logits = self.discriminator(torch.cat([real, fake.to(real.dtype)])).float()
        real_logits, fake_logits = logits[:n], logits[n:]
        loss_d = discriminator_loss(real_logits, fake_logits)
        loss_g = GENERATOR_LOSSES[self.recipe.loss](fake_logits)
        seen, number = DiscriminatorStep.of(real_logits, fake_logits, loss_d), _finite("G's loss", loss_g)
        gradients = _gradients(loss_d, self.discriminator, keep_graph=True)
        _descend(loss_g, self.generator, self.generator_optimiser)
        _step(self.discriminator, self.discriminator_optimiser, gradients)
        return seen, number

    def draw_latents(self, n: int) -> torch.Tensor:
        """The next n latents of the game: [n, z_dim] float32 of the recipe's prior."""
        return draw(self.recipe.prior, n, self.recipe.z_dim, rng=self.rng)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.recipe.precision == "bfloat16", cache_enabled=True
        )


def draw(prior: Prior, n: int, z_dim: int, *, rng: torch.Generator) -> torch.Tensor:
    """Latents from a stream: [n, z_dim] float32 with mean 0 and variance 1, on the generator's device."""
    if prior == "normal":
        return torch.randn(n, z_dim, generator=rng, device=rng.device)
    return (torch.rand(n, z_dim, generator=rng, device=rng.device) * 2 - 1) * 3**0.5


def _gradients(loss: torch.Tensor, network: nn.Module, *, keep_graph: bool = False) -> tuple[torch.Tensor, ...]:
    """The gradient of `loss` in the weights of one network, and of no other."""
    return torch.autograd.grad(loss, list(network.parameters()), retain_graph=keep_graph)


def _step(network: nn.Module, optimiser: torch.optim.Optimizer, gradients: tuple[torch.Tensor, ...]) -> None:
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        parameter.grad = gradient
    optimiser.step()


def _descend(loss: torch.Tensor, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    _step(network, optimiser, _gradients(loss, network))


def _optimiser(settings: Optimiser, network: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    if isinstance(settings, Adam):
        return torch.optim.Adam(
            network.parameters(), lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), fused=True
        )
    return torch.optim.SGD(
        network.parameters(), lr=settings.learning_rate, momentum=settings.momentum_start, fused=device.type == "cuda"
    )


def _finite(quantity: str, value: torch.Tensor) -> float:
    number = float(value.detach())
    if not math.isfinite(number):
        raise NotFiniteError(
            f"{quantity} is {number}: training stops here. The last saved state is as it was; lower the learning rates "
            "(`--set generator_optimiser.learning_rate=…`), or use float32 (`--set precision=float32`)"
        )
    return number
