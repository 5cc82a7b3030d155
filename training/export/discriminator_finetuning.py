"""Fine-tune D at export: it learns to distinguish real images from pictures that are neither real nor drawn by G.

During training D only sees fakes of the current G, so it may give a letter or a blank page a high logit. Therefore D is
trained further at export. Some of its fakes are images that G drew in earlier epochs; the rest are pictures that are
not real images (`training.export.negatives`). Samples of the final G are not among them: this G no longer changes, so D
would learn its samples by heart, and the balance between G and D would be lost. The loss is that of the 2014 paper, on
D's unconditional logit. D's weights are averaged over these steps (EMA). G does not change.

MNIST's digits look alike in their strokes and edges, and D would take this for a mark of the real. Therefore, where D
judges digits, a share of the real images are variations (`training.data.variations`): the same digits as other pens,
hands and scanners draw them. The fakes are made from this batch, so their strokes and edges vary in the same way, and
half of the letters are varied, too.

This loss does not compare real images with samples of the final G. So at the end, one number is added to every logit:
the number for which V(G, D), equation 1 of the paper, is largest. Then D(x) of real images and D(G(z)) lie around ½
again, as in theory, and D of other pictures lies far below.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from models.images import to_float
from models.latents import Prior
from models.networks.layers import Dropout, GroupDeviation
from models.networks.packing import PackedDiscriminator
from training.data.dataset import Dataset
from training.data.variations import vary_all
from training.errors import NotFiniteError, RunError
from training.export.negatives import FROM_IMAGES, LETTERS_WEIGHT, WeightedNegative, letters
from training.gan.ema import EMA
from training.gan.game import draw
from training.gan.losses import discriminator_loss
from training.recipe import Recipe

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
EMA_HALFLIFE_IMAGES = 20_000.0
SHARE_OF_EARLIER = 0.2
"""The share of the fakes that are images from earlier epochs of G."""

BALANCE_IMAGES = 5000
"""The number of real images, and of samples of G, from which the balance is computed."""

_BLOCK = 500  # images per forward pass without gradients


@dataclass(frozen=True)
class JudgePlan:
    """The settings of the fine-tuning of D.

    Attributes:
        steps: number of steps, each on `BATCH_SIZE` real images and as many fakes.
        variations: the share of the real images that are variations of digits, 0 to 1; 0 for images that are not
            digits.
        prior: the prior of G's latents.
        z_dim: the number of coordinates of a latent.
        bfloat16: whether the products of D are computed in bfloat16.
    """

    steps: int
    variations: float
    prior: Prior
    z_dim: int
    bfloat16: bool = False

    @classmethod
    def of_recipe(cls, recipe: Recipe, dataset: Dataset) -> "JudgePlan":
        """Return the plan of a recipe; images other than MNIST's are not varied."""
        return cls(
            steps=recipe.judge_steps,
            variations=recipe.judge_variations if dataset.digits == 1 else 0.0,
            prior=recipe.prior,
            z_dim=recipe.z_dim,
            bfloat16=recipe.precision == "bfloat16",
        )


@dataclass(frozen=True)
class Opponents:
    """The sources of the fakes in the fine-tuning of D.

    Attributes:
        earlier: [M, C, H, W] uint8, images that G drew in earlier epochs.
        kinds: functions that make pictures that are not real images, each with the weight by which it is chosen.
    """

    earlier: torch.Tensor
    kinds: tuple[WeightedNegative, ...]


def train_judge(
    discriminator: nn.Module,
    generator: nn.Module,
    dataset: Dataset,
    plan: JudgePlan,
    *,
    samples: Mapping[int, torch.Tensor],
    seed: int,
    say: Callable[[str], None] = print,
) -> nn.Module:
    """Train a copy of D for `plan.steps` more steps, and return it in evaluation mode.

    Args:
        discriminator: D of the run, [N, C, H, W] float32 in [−1, 1] → logits [N]. It does not change.
        generator: the G that is exported, with its tone curve if it has one. It does not change.
        dataset: the data set; its training images are the real images, and the held-out images are not used.
        plan: the settings.
        samples: G's samples by epoch, [n, C, H, W] uint8 each. Those of the first half of the training are used.
        seed: seed of the batches and of all other random numbers.
        say: function that receives a line with the loss after each tenth of the steps.

    Raises:
        NotFiniteError: the loss is NaN or infinite.
    """
    rng = torch.Generator().manual_seed(seed)
    average = EMA(discriminator, halflife_images=EMA_HALFLIFE_IMAGES)
    judge = _copy_for_single_images(discriminator, rng)
    drawn = letters(dataset.shape.height, seed=seed, varied=plan.variations > 0, most=plan.steps * BATCH_SIZE)
    kinds = (WeightedNegative(drawn, LETTERS_WEIGHT), *FROM_IMAGES)
    opponents = Opponents(earlier_samples(samples), kinds)
    of_varied = round(BATCH_SIZE * plan.variations)
    varied = vary_all(dataset.images[: of_varied * plan.steps], seed=seed)  # no more than are drawn
    real_images = ((varied, of_varied), (dataset.images, BATCH_SIZE - of_varied))
    optimiser = torch.optim.Adam(judge.parameters(), lr=LEARNING_RATE, betas=(0.5, 0.99), fused=True)
    for step in range(plan.steps):
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / plan.steps)
        real = torch.cat([_some(images, n, rng) for images, n in real_images if n])
        fake = draw_opponents(opponents, real, rng)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=plan.bfloat16):
            logits = judge(torch.cat([real, fake])).float()
        loss = discriminator_loss(*logits.chunk(2))
        if not torch.isfinite(loss):
            raise NotFiniteError(
                f"fine-tuning of D, step {step + 1}: its loss is {float(loss.detach())}; export without it, "
                "`--set judge_steps=0`"
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        average.update(judge, batch_images=BATCH_SIZE, images_seen=(step + 1) * BATCH_SIZE)
        if (step + 1) % max(1, plan.steps // 10) == 0:
            say(f"fine-tuning of D: step {step + 1:,} of {plan.steps:,}, loss {float(loss.detach()):.3f}")
    judge = average.network.eval()
    real = _some(dataset.images, BALANCE_IMAGES, rng)
    latents = draw(plan.prior, BALANCE_IMAGES, plan.z_dim, rng=rng)
    balance(judge, copy.deepcopy(generator).eval(), real, latents)
    return judge


def earlier_samples(samples: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """Return the samples of the first half of the training: [M, C, H, W] uint8, of epochs ≤ last epoch / 2.

    Raises:
        RunError: there are none.
    """
    last = max(samples)
    early = [images for epoch, images in sorted(samples.items()) if epoch <= last / 2]
    if not early:
        raise RunError(
            f"D needs earlier images of G, but of epochs 0 to {last // 2} there is no picture, only of "
            f"{', '.join(map(str, sorted(samples)))}: put the pictures of `grids/` back, or leave D as it is "
            "(`export` with `--set judge_steps=0`)"
        )
    return torch.cat(early)


@torch.no_grad()
def draw_opponents(opponents: Opponents, real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Draw as many fakes as `real` has images: [N, C, H, W] float32 in [−1, 1].

    A fixed share of them are earlier samples. Each of the others is made by a function of `opponents.kinds`, drawn by
    weight, from an image of `real` that is used only once.
    """
    n = len(real)
    of_earlier = round(n * SHARE_OF_EARLIER)
    fakes = [_some(opponents.earlier, of_earlier, rng)]
    rest = n - of_earlier
    weights = torch.tensor([kind.weight for kind in opponents.kinds])
    kinds = torch.multinomial(weights, rest, replacement=True, generator=rng)
    counts = torch.bincount(kinds, minlength=len(opponents.kinds)).tolist()
    parts = torch.split(real[torch.randperm(n, generator=rng)[:rest]], counts)
    for kind, part in zip(opponents.kinds, parts, strict=True):
        if len(part):
            fakes.append(kind.make(part, rng))
    return torch.cat(fakes)


@torch.no_grad()
def balance(discriminator: nn.Module, generator: nn.Module, real: torch.Tensor, latents: torch.Tensor) -> None:
    """Add to D's last bias the number b for which V(G, D) is largest. Then mean D(x) = mean(1 − D(G(z))).

    dV/db = mean(1 − σ(logit + b)) over real images − mean σ(logit + b) over fakes. It decreases with b, so bisection
    finds its root.

    Args:
        discriminator: the network D in evaluation mode; changed in place.
        generator: the network G in evaluation mode.
        real: [N, C, H, W] float32 in [−1, 1].
        latents: [N, z_dim] float32.
    """
    real_logits = torch.cat([discriminator(block) for block in torch.split(real, _BLOCK)]).double()
    fake_logits = torch.cat([discriminator(generator(block)) for block in torch.split(latents, _BLOCK)]).double()
    reach = float(torch.cat([real_logits, fake_logits]).abs().max()) + 1
    low, high = -reach, reach
    for _ in range(60):
        middle = (low + high) / 2
        slope = torch.sigmoid(-real_logits - middle).mean() - torch.sigmoid(fake_logits + middle).mean()
        low, high = (middle, high) if slope > 0 else (low, middle)
    last = [layer for layer in discriminator.modules() if isinstance(layer, nn.Linear)][-1]
    last.bias.add_(low)


def _copy_for_single_images(discriminator: nn.Module, rng: torch.Generator) -> nn.Module:
    """Copy D, in training mode, so that it sees each image alone: the exported D scores one image at a time."""
    judge = copy.deepcopy(discriminator).requires_grad_(requires_grad=True).train()
    for layer in judge.modules():
        if isinstance(layer, Dropout):
            layer.rng = rng
        if isinstance(layer, PackedDiscriminator | GroupDeviation):
            layer.training = False
    return judge


def _some(images: torch.Tensor, n: int, rng: torch.Generator) -> torch.Tensor:
    """Draw n of N images [N, C, H, W] uint8 with replacement: [n, C, H, W] float32 in [−1, 1]."""
    return to_float(images[torch.randint(len(images), (n,), generator=rng)])
