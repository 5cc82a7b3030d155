"""The minimax game: algorithm 1 of Goodfellow et al. 2014, one batch at a time.

`training.gan.players` builds G and D. `training.gan.discriminator_loss` computes D's loss, `training.gan.losses` G's.
`Game` holds everything that changes from step to step, and takes the steps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import ImageShape
from models.latents import Prior, to_uniform_prior
from models.networks.batch_part import Part
from models.networks.conditional import ballots_of, labels_of
from training.config import RunConfig
from training.data.dataset import Dataset
from training.errors import NotFiniteError
from training.gan.adaptive_augmentation import INTERVAL, AdaptiveAugmentation, buffers_kept, labelled_held_out
from training.gan.discriminator_loss import (
    DiscriminatorLoss,
    LabelledImages,
    autocast,
    compute_discriminator_loss,
    join,
    logits_of,
)
from training.gan.distributed import ALONE, Processes
from training.gan.ema import EMA
from training.gan.losses import LOSSES
from training.gan.players import (
    build_players,
    connect_dropout,
    copy_without_spectral_norm,
    initialise_players,
    make_optimiser,
    running_statistics,
    set_learning_rate,
)
from training.recipe import Recipe


@dataclass(frozen=True)
class DiscriminatorStep:
    """The figures of one D step: means over the whole batch, computed before the weights change.

    Attributes:
        loss: D's loss without its penalties.
        d_real: mean D(x), of real images.
        d_fake: mean D(G(z)), of fakes.
        value: V(G, D), equation 1 of the 2014 paper.
    """

    loss: float
    d_real: float
    d_fake: float
    value: float

    @classmethod
    def of(cls, figures: torch.Tensor) -> "DiscriminatorStep":
        """Return the step with these figures: [4] float32, in the order of the attributes.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        loss, d_real, d_fake, game_value = figures.tolist()
        return cls(_finite("D's loss", loss), d_real, d_fake, game_value)


class Game:
    """G, D, their optimisers, the average of G's weights, and the random numbers that the game draws.

    Args:
        recipe: all settings; `precision` must be resolved, not "auto".
        shape: the shape of the images.
        pixel_means: [C, H, W] float32 in [0, 1], the mean training image.
        class_shares: [K] float64, the share of each class among the training images; None makes the game unconditional.
        seed: the seed of the initial weights, the latents and the dropout masks.
        device: the device that holds both networks.
        processes: the processes that play this game together. Each gets its part of every batch; all hold the same
            networks, optimisers and random state.
        held_out: images for adaptive augmentation, as uint8, with labels in a conditional game; other games ignore
            them.

    Attributes:
        augmentation: the adaptive augmentation; None if the recipe's probability is constant.
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
        held_out: LabelledImages | None = None,
    ) -> None:
        self.recipe = recipe
        self.processes = processes
        self.part = Part(processes.rank, processes.world, recipe.images_a_group)
        self.device = device
        self.classes = 0 if class_shares is None else len(class_shares)
        self.seed = seed
        self.shape = shape

        self.generator, self.discriminator = build_players(recipe, shape=shape, classes=self.classes)
        initialise_players(
            self.generator,
            self.discriminator,
            recipe,
            pixel_means=pixel_means,
            class_shares=class_shares,
            seed=seed,
        )
        self.generator.to(device).train()
        self.discriminator.to(device).train()
        self.average = EMA(self.generator, halflife_images=recipe.ema_halflife_images)

        self.rng = torch.Generator(device).manual_seed(seed + 1)
        connect_dropout(self.discriminator, recipe, rng=self.rng, part=self.part)
        self.augmentation: AdaptiveAugmentation | None = None
        if recipe.augmentation_target is not None and held_out is not None:
            self.augmentation = AdaptiveAugmentation(
                probability=recipe.augmentation, target=recipe.augmentation_target, held_out=held_out
            )
        self._statistics = [*running_statistics(self.generator), *running_statistics(self.discriminator)]
        self.generator_optimiser = make_optimiser(recipe.generator_optimiser, self.generator, device)
        self.discriminator_optimiser = make_optimiser(recipe.discriminator_optimiser, self.discriminator, device)

    @classmethod
    def of(cls, config: RunConfig, dataset: Dataset, *, device: torch.device, processes: Processes = ALONE) -> "Game":
        """Return the game of a run on its data, before the first step."""
        return cls(
            config.recipe,
            shape=config.image_shape,
            pixel_means=dataset.pixel_means(),
            class_shares=dataset.class_shares() if config.ballots else None,
            seed=config.seed,
            device=device,
            processes=processes,
            held_out=None
            if config.recipe.augmentation_target is None
            else labelled_held_out(dataset, conditional=config.ballots > 0, device=device),
        )

    @classmethod
    def without_data(cls, config: RunConfig, *, device: torch.device) -> "Game":
        """Return a game with a run's settings and networks, as if its data were grey and its classes equally frequent.

        Its augmentation is not adapted.
        """
        return cls(
            config.recipe,
            shape=config.image_shape,
            pixel_means=torch.full(config.image_shape.chw, 0.5),
            class_shares=np.full(config.ballots, 1 / config.ballots) if config.ballots else None,
            seed=config.seed,
            device=device,
        )

    def set_rates(self, *, step: int, steps: int, epoch: int, factor: float = 1.0) -> None:
        """Set learning rates and momentum for G's step `step` (from 0) of `steps`, in epoch `epoch` (from 1).

        `factor` multiplies both players' learning rates; it is below 1 after a rollback.
        """
        for settings, optimiser in (
            (self.recipe.generator_optimiser, self.generator_optimiser),
            (self.recipe.discriminator_optimiser, self.discriminator_optimiser),
        ):
            set_learning_rate(optimiser, settings, step=step, steps=steps, epoch=epoch, factor=factor)

    # --- The steps ----------------------------------------------------------------------------------

    def discriminator_step(self, real: LabelledImages, *, step: int = 0) -> DiscriminatorStep:
        """Take one step of D that lowers its loss; G's weights do not change.

        Args:
            real: this process's part of the batch of real images; as many fakes are drawn.
            step: the number of G's steps so far; it decides whether this D step has penalties.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        with torch.no_grad():
            fake = self._draw_fakes(len(real.images))
        loss = self._discriminator_loss(real, fake, step)
        self._adapt(loss, n=len(real.images), step=step)
        figures, gradients = self._average(loss.figures, _gradients(loss.total, self.discriminator))
        seen = DiscriminatorStep.of(figures)
        _step(self.discriminator, self.discriminator_optimiser, gradients)
        return seen

    def generator_step(self, real: LabelledImages) -> float:
        """Take one step of G that lowers its loss, on fresh latents; D's weights do not change. Return the loss.

        Args:
            real: real images. As many fakes are drawn; only a relativistic loss uses the real images themselves.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        n = len(real.images)
        fake = self._draw_fakes(n)
        if self.recipe.loss == "relativistic":
            real_logits, fake_logits = self._logits(join(real, fake)).chunk(2)
        else:
            fake_logits = self._logits(fake)
            real_logits = fake_logits  # the other losses ignore it
        loss = LOSSES[self.recipe.loss].generator(real_logits, fake_logits)
        mean_loss, gradients = self._average(loss.detach(), _gradients(loss, self.generator))
        number = _finite("G's loss", float(mean_loss))
        _step(self.generator, self.generator_optimiser, gradients)
        return number

    def simultaneous_step(self, real: LabelledImages, *, step: int = 0) -> tuple[DiscriminatorStep, float]:
        """Take one step of D and one of G; both gradients come from the same fakes and from D as it was before.

        Algorithm 1 steps D first and then G on fresh latents; the authors' published code takes both gradients at
        once, through the same dropout masks. Return the figures of D's step, and G's loss. The arguments are those of
        `discriminator_step`.

        Raises:
            NotFiniteError: a loss is NaN or infinite.
        """
        fake = self._draw_fakes(len(real.images))
        loss = self._discriminator_loss(real, fake, step)
        self._adapt(loss, n=len(real.images), step=step)
        loss_g = LOSSES[self.recipe.loss].generator(loss.real_logits, loss.fake_logits)
        of_d = _gradients(loss.total, self.discriminator, keep_graph=True)
        of_g = _gradients(loss_g, self.generator)
        figures, gradients = self._average(torch.cat([loss.figures, loss_g.detach()[None]]), [*of_d, *of_g])
        seen, number = DiscriminatorStep.of(figures[:-1]), _finite("G's loss", float(figures[-1]))
        _step(self.discriminator, self.discriminator_optimiser, gradients[: len(of_d)])
        _step(self.generator, self.generator_optimiser, gradients[len(of_d) :])
        return seen, number

    # --- Random numbers -----------------------------------------------------------------------------

    def draw_latents(self, n: int) -> torch.Tensor:
        """Draw the next latents of the game and return this process's n: [n, z_dim] float32 from the recipe's prior."""
        return self.part.of(draw(self.recipe.prior, self.part.whole(n), self.recipe.z_dim, rng=self.rng))

    def reseed(self, rollbacks: int) -> None:
        """Restart the random numbers after a rollback; each count of `rollbacks` has a stream of its own."""
        # PyTorch's CPU generator uses only the low 32 bits of a seed, so the mixing must make those bits differ.
        (mixed,) = np.random.SeedSequence([self.seed, rollbacks]).generate_state(1, np.uint64)
        self.rng.manual_seed(int(mixed))

    # --- What is exported ---------------------------------------------------------------------------

    def plain_discriminator(self) -> nn.Module:
        """Return a copy of D for export, in evaluation mode, with spectral normalisation applied to its weights."""
        _, plain = build_players(self.recipe, shape=self.shape, classes=self.classes)
        copy_without_spectral_norm(self.discriminator, plain)
        return plain.to(self.device).eval()

    # --- The parts of a step ------------------------------------------------------------------------

    def _draw_fakes(self, n: int) -> LabelledImages:
        """Draw n images of G from fresh latents, with the classes that those latents choose."""
        with autocast(self.recipe, self.device):
            z = self.draw_latents(n)
            images = self.generator(z)
        if not self.classes:
            return LabelledImages(images)
        return LabelledImages(images, labels_of(z, head_starts=ballots_of(self.generator).head_starts))

    def _discriminator_loss(self, real: LabelledImages, fake: LabelledImages, step: int) -> DiscriminatorLoss:
        return compute_discriminator_loss(
            self.discriminator,
            real,
            fake,
            recipe=self.recipe,
            step=step,
            rng=self.rng,
            part=self.part,
            augmentation=self._probability,
        )

    def _logits(self, batch: LabelledImages) -> torch.Tensor:
        return logits_of(
            self.discriminator,
            batch,
            recipe=self.recipe,
            rng=self.rng,
            part=self.part,
            augmentation=self._probability,
        )

    @property
    def _probability(self) -> float:
        return self.recipe.augmentation if self.augmentation is None else self.augmentation.probability

    @torch.no_grad()
    def _adapt(self, loss: DiscriminatorLoss, *, n: int, step: int) -> None:
        """Adapt the augmentation's probability, if it is due, to D as it is before its step.

        Held-out images pass through D as training images do: augmented, in training mode, and in groups.

        Args:
            loss: D's loss in this step.
            n: this process's number of real images in a batch.
            step: the number of G's steps so far.

        Raises:
            NotFiniteError: a logit is NaN or infinite.
        """
        if self.augmentation is None or step % INTERVAL:
            return
        with buffers_kept(self.discriminator):
            held_out = self._logits(self.augmentation.held_out_batch(n, step=step, part=self.part))
        means = torch.stack([loss.real_logits.mean(), held_out.mean(), loss.fake_logits.mean()])
        if self.processes.world > 1:
            (means,) = self.processes.average([means])  # so that p is the same number in every process
        real, of_held_out, fake = (_finite("D's mean logit", mean) for mean in means.tolist())
        images = self.part.whole(n) * INTERVAL
        self.augmentation.adapt(real=real, held_out=of_held_out, fake=fake, images=images)

    def _average(
        self, figures: torch.Tensor, gradients: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
        """Average figures, gradients and running statistics over the processes, after the backward pass.

        The mean over equal parts is the mean over the whole batch, so every process takes the same step, and sees the
        same loss become NaN. Running statistics are set in place; the other means are returned.
        """
        if self.processes.world == 1:
            return figures, gradients
        means = self.processes.average([figures, *gradients, *self._statistics])
        with torch.no_grad():
            for statistic, mean in zip(self._statistics, means[1 + len(gradients) :], strict=True):
                statistic.copy_(mean)
        return means[0], means[1 : 1 + len(gradients)]


def draw(prior: Prior, n: int, z_dim: int, *, rng: torch.Generator) -> torch.Tensor:
    """Draw latents from `rng`: [n, z_dim] float32 with mean 0 and variance 1, on the device of `rng`."""
    if prior == "normal":
        return torch.randn(n, z_dim, generator=rng, device=rng.device)
    return to_uniform_prior(torch.rand(n, z_dim, generator=rng, device=rng.device))


def _gradients(loss: torch.Tensor, network: nn.Module, *, keep_graph: bool = False) -> tuple[torch.Tensor, ...]:
    """Return the gradient of `loss` with respect to the weights of this network, and of no other."""
    return torch.autograd.grad(loss, list(network.parameters()), retain_graph=keep_graph)


def _step(network: nn.Module, optimiser: torch.optim.Optimizer, gradients: Sequence[torch.Tensor]) -> None:
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        parameter.grad = gradient
    optimiser.step()


def _finite(quantity: str, number: float) -> float:
    if not math.isfinite(number):
        raise NotFiniteError(
            f"{quantity} is {number}: training stops here. Start again with lower learning rates "
            "(`--set generator_optimiser.learning_rate=…`) or in float32 (`--set precision=float32`)"
        )
    return number
