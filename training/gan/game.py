"""The minimax game: algorithm 1 of Goodfellow et al. 2014, one batch at a time."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from models.images import ImageShape
from models.latents import Prior, to_uniform_prior
from models.networks.batch_part import Part
from models.networks.build import build_networks
from models.networks.conditional import ConditionalDiscriminator, ballots_of, head_starts_for, labels_of
from models.networks.layers import Dropout
from training.config import RunConfig
from training.data.dataset import Dataset
from training.errors import NotFiniteError
from training.gan.augmentation import augment
from training.gan.distributed import ALONE, Processes
from training.gan.ema import EMA
from training.gan.losses import LOSSES, value
from training.gan.penalties import interpolated, squared_gradient_norms
from training.recipe import SGD, Adam, Optimiser, Recipe


class RealBatch(NamedTuple):
    """Real images [N, C, H, W] float32 in [−1, 1]; their labels [N] int64, or None in an unconditional game."""

    images: torch.Tensor
    labels: torch.Tensor | None = None


@dataclass(frozen=True)
class DiscriminatorStep:
    """What one D step saw, means over the whole batch, from before the step; the loss is without its penalties."""

    loss: float
    d_real: float
    d_fake: float
    value: float

    @classmethod
    def of(cls, figures: torch.Tensor) -> "DiscriminatorStep":
        """From the four figures in their order.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        loss, d_real, d_fake, game_value = figures.tolist()
        return cls(_finite("D's loss", loss), d_real, d_fake, game_value)


class Game:
    """G, D, their optimisers, G's average, and the random numbers they play with.

    Args:
        recipe: all settings; `precision` must be resolved, not "auto".
        shape: shape of the images.
        pixel_means: [C, H, W] in [0, 1], the data's mean image.
        class_shares: of a conditional game: the share of each class among the data, [K] float64; None for an
            unconditional one.
        seed: of the initial weights, the latents and the dropout masks.
        device: where to play.
        processes: those that play this game together; each is given its part of every batch, and all hold all of this.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        shape: ImageShape,
        pixel_means: torch.Tensor,
        seed: int,
        device: torch.device,
        class_shares: NDArray[np.float64] | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.recipe = recipe
        self.processes = processes
        self.part = Part(processes.rank, processes.world, recipe.images_a_group)
        self.device = device
        self.classes = 0 if class_shares is None else len(class_shares)
        self.seed = seed
        self.shape = shape
        self.generator, self.discriminator = self._build_networks()
        # On the CPU, whatever the device: the same seed starts from the same weights everywhere.
        weights_rng = torch.Generator().manual_seed(seed)
        recipe.architecture.initialise(self.generator, self.discriminator, rng=weights_rng, pixel_means=pixel_means)
        if class_shares is not None:
            head_starts = torch.from_numpy(head_starts_for(class_shares, prior=recipe.prior))
            ballots_of(self.generator).head_starts.copy_(head_starts)
        if recipe.spectral_norm:
            _normalise_spectrally(self.discriminator, seed)
        self.generator.to(device).train()
        self.discriminator.to(device).train()
        self.average = EMA(self.generator, halflife_images=recipe.ema_halflife_images)

        self.rng = torch.Generator(device).manual_seed(seed + 1)
        for layer in self.discriminator.modules():
            if isinstance(layer, Dropout):
                layer.rng = self.rng
                layer.part = self.part._replace(group=recipe.images_a_group // recipe.packing)  # its rows are packs
        self._statistics = [*_running_statistics(self.generator), *_running_statistics(self.discriminator)]

        self.generator_optimiser = _optimiser(recipe.generator_optimiser, self.generator, device)
        self.discriminator_optimiser = _optimiser(recipe.discriminator_optimiser, self.discriminator, device)

    @classmethod
    def of(cls, config: RunConfig, dataset: Dataset, *, device: torch.device, processes: Processes = ALONE) -> "Game":
        """The game of a run on its data, at its start."""
        return cls(
            config.recipe,
            shape=config.image_shape,
            pixel_means=dataset.pixel_means(),
            class_shares=dataset.class_shares() if config.classes else None,
            seed=config.seed,
            device=device,
            processes=processes,
        )

    def set_rates(self, *, step: int, steps: int, epoch: int, factor: float = 1.0) -> None:
        """Set learning rates and momentum for G's step `step` (from 0) of `steps`, in epoch `epoch` (from 1).

        `factor` lowers the rates of both players after a fall back to an earlier state.
        """
        for settings, optimiser in (
            (self.recipe.generator_optimiser, self.generator_optimiser),
            (self.recipe.discriminator_optimiser, self.discriminator_optimiser),
        ):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate_at(step, steps=steps) * factor
                if isinstance(settings, SGD):
                    group["momentum"] = settings.momentum_at(epoch)

    def discriminator_step(self, real: RealBatch, *, step: int = 0) -> DiscriminatorStep:
        """One step of D's loss in D's weights; G's weights are left as they are.

        Args:
            real: this process's part of the batch; as many fakes are drawn.
            step: G's steps so far: which D steps carry penalties follows from it.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        with torch.no_grad(), self._autocast():
            fake, fake_labels = self._draw_fakes(len(real.images))
        figures, loss, _ = self._play_discriminator(real, fake, fake_labels, step)
        figures, gradients = self._average(figures, _gradients(loss, self.discriminator))
        seen = DiscriminatorStep.of(figures)
        _step(self.discriminator, self.discriminator_optimiser, gradients)
        return seen

    def generator_step(self, real: RealBatch) -> float:
        """One step of G against the current D, on fresh latents; D's weights are left as they are. Returns G's loss.

        Args:
            real: as many images are drawn; a relativistic loss compares with them, the others do not look at them.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        n = len(real.images)
        with self._autocast():
            fake, labels = self._draw_fakes(n)
            if self.recipe.loss == "relativistic":
                real_logits, fake_logits = self._both_logits(real, fake, labels)
            else:
                fake_logits = self._logits(fake, labels)
                real_logits = fake_logits  # not looked at
        loss = LOSSES[self.recipe.loss].generator(real_logits, fake_logits)
        mean_loss, gradients = self._average(loss.detach(), _gradients(loss, self.generator))
        number = _finite("G's loss", float(mean_loss))
        _step(self.generator, self.generator_optimiser, gradients)
        return number

    def simultaneous_step(self, real: RealBatch, *, step: int = 0) -> tuple[DiscriminatorStep, float]:
        """One step of D and one of G from the same samples, both through D as it was before: the paper's code.

        Algorithm 1 steps D first and then G on fresh latents; the authors' published code takes both gradients at
        once, through the same dropout masks. Returns what D's step saw, and G's loss. Arguments: `discriminator_step`.

        Raises:
            NotFiniteError: a loss is NaN or infinite.
        """
        with self._autocast():
            fake, fake_labels = self._draw_fakes(len(real.images))
        figures, loss_d, logits = self._play_discriminator(real, fake, fake_labels, step)
        loss_g = LOSSES[self.recipe.loss].generator(*logits)
        of_d = _gradients(loss_d, self.discriminator, keep_graph=True)
        of_g = _gradients(loss_g, self.generator)
        figures, gradients = self._average(torch.cat([figures, loss_g.detach()[None]]), [*of_d, *of_g])
        seen, number = DiscriminatorStep.of(figures[:-1]), _finite("G's loss", float(figures[-1]))
        _step(self.discriminator, self.discriminator_optimiser, gradients[: len(of_d)])
        _step(self.generator, self.generator_optimiser, gradients[len(of_d) :])
        return seen, number

    def reseed(self, rollbacks: int) -> None:
        """Other latents and masks than the last time from here: as many streams as falls back."""
        # Of a seed, PyTorch's generator for the CPU takes the last 32 bits alone: they must differ.
        (mixed,) = np.random.SeedSequence([self.seed, rollbacks]).generate_state(1, np.uint64)
        self.rng.manual_seed(int(mixed))

    def draw_latents(self, n: int) -> torch.Tensor:
        """The next latents of the game, this process's n of them: [n, z_dim] float32 of the recipe's prior."""
        return self.part.of(draw(self.recipe.prior, self.part.whole(n), self.recipe.z_dim, rng=self.rng))

    def plain_discriminator(self) -> nn.Module:
        """A copy of D as it travels, in evaluation mode: spectral normalisation of its weights done, not to be done."""
        normalised = copy.deepcopy(self.discriminator).eval()  # in training mode a look at a weight changes its norm
        _, plain = self._build_networks()
        plain.load_state_dict({name: attrgetter(name)(normalised).detach() for name in plain.state_dict()})
        return plain.to(self.device).eval()

    def _build_networks(self) -> tuple[nn.Module, nn.Module]:
        recipe = self.recipe
        return build_networks(
            recipe.architecture,
            z_dim=recipe.z_dim,
            image_shape=self.shape,
            classes=self.classes,
            packing=recipe.packing,
        )

    def _draw_fakes(self, n: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """G's images of n fresh latents, and the classes that those latents name."""
        z = self.draw_latents(n)
        fake = self.generator(z)
        if not self.classes:
            return fake, None
        return fake, labels_of(z, head_starts=ballots_of(self.generator).head_starts)

    def _play_discriminator(
        self, real: RealBatch, fake: torch.Tensor, fake_labels: torch.Tensor | None, step: int
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """What D saw (`DiscriminatorStep`), its loss with penalties, and its logits of real images and of fakes."""
        recipe = self.recipe
        with_penalty = step % recipe.penalty_interval == 0
        n = len(real.images)
        images = torch.cat([real.images, fake.to(real.images.dtype)])
        if (recipe.r1_gamma or recipe.r2_gamma) and with_penalty and not images.requires_grad:
            images.requires_grad_()
        with self._autocast():
            # Real and fake in one pass: nothing in D lets an image see the batch but its own pack or group.
            logits = self._logits(images, _join(real.labels, fake_labels))
        real_logits, fake_logits = logits.chunk(2)
        loss = LOSSES[recipe.loss].discriminator(real_logits, fake_logits)
        with torch.no_grad():
            d_real, d_fake = torch.sigmoid(real_logits).mean(), torch.sigmoid(fake_logits).mean()
            figures = torch.stack([loss, d_real, d_fake, value(real_logits, fake_logits)])
        if (recipe.r1_gamma or recipe.r2_gamma) and with_penalty:
            norms = squared_gradient_norms(logits, images)
            penalty = recipe.r1_gamma / 2 * norms[:n].mean() + recipe.r2_gamma / 2 * norms[n:].mean()
            loss = loss + penalty * recipe.penalty_interval
        if recipe.gradient_penalty and with_penalty:
            between = interpolated(real.images, fake, rng=self.rng, part=self.part)
            with self._autocast():
                between_logits = self._logits(between, real.labels)
            excess = (squared_gradient_norms(between_logits, between) + 1e-12).sqrt() - 1
            loss = loss + recipe.gradient_penalty * excess.square().mean() * recipe.penalty_interval
        return figures, loss, (real_logits, fake_logits)

    def _average(
        self, figures: torch.Tensor, gradients: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
        """The means over the processes, taken at once, after the backward pass; those of running statistics are set.

        The mean over equal parts is the mean over the whole batch. With it every process holds the same state again,
        and finds the same loss NaN.
        """
        if self.processes.world == 1:
            return figures, gradients
        means = self.processes.average([figures, *gradients, *self._statistics])
        with torch.no_grad():
            for statistic, mean in zip(self._statistics, means[1 + len(gradients) :], strict=True):
                statistic.copy_(mean)
        return means[0], means[1 : 1 + len(gradients)]

    def _both_logits(
        self, real: RealBatch, fake: torch.Tensor, fake_labels: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.cat([real.images, fake.to(real.images.dtype)])
        real_logits, fake_logits = self._logits(images, _join(real.labels, fake_labels)).chunk(2)
        return real_logits, fake_logits

    def _logits(self, images: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """D's logits, float32, of images as D is shown them."""
        if self.recipe.augmentation:
            images = augment(images, probability=self.recipe.augmentation, rng=self.rng, part=self.part)
        if labels is not None and isinstance(self.discriminator, ConditionalDiscriminator):
            return self.discriminator.class_logits(images, labels).float()
        logits: torch.Tensor = self.discriminator(images)
        return logits.float()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.recipe.precision == "bfloat16", cache_enabled=True
        )


def draw(prior: Prior, n: int, z_dim: int, *, rng: torch.Generator) -> torch.Tensor:
    """Latents from a stream: [n, z_dim] float32 with mean 0 and variance 1, on the generator's device."""
    if prior == "normal":
        return torch.randn(n, z_dim, generator=rng, device=rng.device)
    return to_uniform_prior(torch.rand(n, z_dim, generator=rng, device=rng.device))


def _join(real: torch.Tensor | None, fake: torch.Tensor | None) -> torch.Tensor | None:
    return None if real is None or fake is None else torch.cat([real, fake])


def _normalise_spectrally(network: nn.Module, seed: int) -> None:
    """Each layer's largest singular value becomes 1: Miyato et al. 2018 (arXiv 1802.05957)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the first guess of each singular vector comes from global state alone
        for layer in list(network.modules()):
            if isinstance(layer, nn.Linear | nn.Conv2d):
                spectral_norm(layer)


def _gradients(loss: torch.Tensor, network: nn.Module, *, keep_graph: bool = False) -> tuple[torch.Tensor, ...]:
    """The gradient of `loss` in the weights of one network, and of no other."""
    return torch.autograd.grad(loss, list(network.parameters()), retain_graph=keep_graph)


def _step(network: nn.Module, optimiser: torch.optim.Optimizer, gradients: Sequence[torch.Tensor]) -> None:
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        parameter.grad = gradient
    optimiser.step()


def _running_statistics(network: nn.Module) -> list[torch.Tensor]:
    """What layers remember of the batches that they saw: each process of its own part."""
    return [buffer for name, buffer in network.named_buffers() if name.rpartition(".")[2].startswith("running_")]


def _optimiser(settings: Optimiser, network: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    if isinstance(settings, Adam):
        return torch.optim.Adam(
            network.parameters(), lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), fused=True
        )
    return torch.optim.SGD(
        network.parameters(), lr=settings.learning_rate, momentum=settings.momentum_start, fused=device.type == "cuda"
    )


def _finite(quantity: str, number: float) -> float:
    if not math.isfinite(number):
        raise NotFiniteError(
            f"{quantity} is {number}: training stops here. The last saved state is as it was; lower the learning rates "
            "(`--set generator_optimiser.learning_rate=…`), or use float32 (`--set precision=float32`)"
        )
    return number
