"""D's loss: the loss of its logits on real images and fakes, plus the penalties on its gradient.

The functions depend only on their arguments: they draw random numbers only from `rng`, and they step no optimiser.
The formulas are in `training.gan.losses` and `training.gan.penalties`; this module applies them to D and a batch.
"""

from typing import NamedTuple

import torch
from torch import nn

from models.networks.batch_part import WHOLE, Part
from models.networks.conditional import ConditionalDiscriminator
from training.gan.augmentation import augment
from training.gan.losses import LOSSES, value
from training.gan.penalties import interpolated, squared_gradient_norms
from training.recipe import Recipe


class LabelledImages(NamedTuple):
    """Images [N, C, H, W] in [−1, 1], and their labels [N] int64, or None in an unconditional game.

    Real images are float32; fakes are what G returns, float32 or bfloat16.
    """

    images: torch.Tensor
    labels: torch.Tensor | None = None


class DiscriminatorLoss(NamedTuple):
    """The result of D's forward pass.

    Attributes:
        total: scalar float32, the loss that D minimises: the loss of the logits, plus the penalties.
        figures: [4] float32 without gradient: the loss without penalties, mean D(x), mean D(G(z)), the value V(G, D).
        real_logits: [N] float32, D's logits of the real images.
        fake_logits: [N] float32, D's logits of the fakes.
    """

    total: torch.Tensor
    figures: torch.Tensor
    real_logits: torch.Tensor
    fake_logits: torch.Tensor


def compute_discriminator_loss(
    discriminator: nn.Module,
    real: LabelledImages,
    fake: LabelledImages,
    *,
    recipe: Recipe,
    step: int,
    rng: torch.Generator,
    part: Part = WHOLE,
    augmentation: float | None = None,
) -> DiscriminatorLoss:
    """Compute D's loss and its penalties, on as many real images as fakes.

    Args:
        discriminator: the network D.
        real: N real images.
        fake: N fakes; if they carry a graph, the loss can also be differentiated with respect to G's weights.
        recipe: the settings, among them the loss, the penalties and their strengths.
        step: the number of G's steps so far. Penalties are added if it is a multiple of `recipe.penalty_interval`,
            and are multiplied by this interval (lazy regularisation: Karras et al. 2020, arXiv 1912.04958).
        rng: the source of augmentations and of interpolation weights; D's dropout has its own reference to it.
        part: the rows of the whole batch that these images are.
        augmentation: the probability of each augmentation; None: the recipe's.
    """
    with_penalties = step % recipe.penalty_interval == 0
    with_r1_r2 = with_penalties and bool(recipe.r1_gamma or recipe.r2_gamma)
    both = join(real, fake)
    if with_r1_r2 and not both.images.requires_grad:
        both.images.requires_grad_()
    # Real images and fakes share one pass: D combines an image only with the other images of its pack or group.
    logits = logits_of(discriminator, both, recipe=recipe, rng=rng, part=part, augmentation=augmentation)
    real_logits, fake_logits = logits.chunk(2)
    total = LOSSES[recipe.loss].discriminator(real_logits, fake_logits)
    figures = _figures(total, real_logits, fake_logits)
    if with_r1_r2:
        total = total + _r1_r2(logits, both.images, recipe) * recipe.penalty_interval
    if recipe.gradient_penalty and with_penalties:
        penalty = _wgan_gp(discriminator, real, fake, recipe=recipe, rng=rng, part=part, augmentation=augmentation)
        total = total + penalty * recipe.penalty_interval
    return DiscriminatorLoss(total, figures, real_logits, fake_logits)


def join(real: LabelledImages, fake: LabelledImages) -> LabelledImages:
    """Return one batch of 2N images: the N real ones, then the N fakes, in the real images' dtype."""
    images = torch.cat([real.images, fake.images.to(real.images.dtype)])
    if real.labels is None or fake.labels is None:
        return LabelledImages(images)
    return LabelledImages(images, torch.cat([real.labels, fake.labels]))


def logits_of(
    discriminator: nn.Module,
    batch: LabelledImages,
    *,
    recipe: Recipe,
    rng: torch.Generator,
    part: Part = WHOLE,
    augmentation: float | None = None,
) -> torch.Tensor:
    """Return D's logits of a batch, [N] float32.

    Images are augmented first (`augmentation` is the probability; None: the recipe's), and D computes in the recipe's
    precision.

    A conditional D judges whether an image is a real image *of its class*, if the batch has labels.
    """
    with autocast(recipe, batch.images.device):
        images = batch.images
        probability = recipe.augmentation if augmentation is None else augmentation
        if probability:
            images = augment(images, probability=probability, rng=rng, part=part, names=recipe.augmentations)
        if batch.labels is not None and isinstance(discriminator, ConditionalDiscriminator):
            return discriminator.class_logits(images, batch.labels).float()
        logits: torch.Tensor = discriminator(images)
        return logits.float()


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """Return a context in which products are rounded to bfloat16, if the recipe's precision is "bfloat16"."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16", cache_enabled=True)


@torch.no_grad()
def _figures(loss: torch.Tensor, real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    d_real, d_fake = torch.sigmoid(real_logits).mean(), torch.sigmoid(fake_logits).mean()
    return torch.stack([loss, d_real, d_fake, value(real_logits, fake_logits)])


def _r1_r2(logits: torch.Tensor, images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return γ₁/2 · mean ‖∇D‖² on the real images (the first half), plus γ₂/2 · the same mean on the fakes."""
    real_norms, fake_norms = squared_gradient_norms(logits, images).chunk(2)
    return recipe.r1_gamma / 2 * real_norms.mean() + recipe.r2_gamma / 2 * fake_norms.mean()


def _wgan_gp(
    discriminator: nn.Module,
    real: LabelledImages,
    fake: LabelledImages,
    *,
    recipe: Recipe,
    rng: torch.Generator,
    part: Part,
    augmentation: float | None,
) -> torch.Tensor:
    """Return λ · mean (‖∇D‖ − 1)² at points between real images and fakes; each point has the real image's label."""
    between = LabelledImages(interpolated(real.images, fake.images, rng=rng, part=part), real.labels)
    logits = logits_of(discriminator, between, recipe=recipe, rng=rng, part=part, augmentation=augmentation)
    excess = (squared_gradient_norms(logits, between.images) + 1e-12).sqrt() - 1
    return recipe.gradient_penalty * excess.square().mean()
