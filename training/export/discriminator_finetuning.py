"""D after the game: taught to tell real images from everything that is neither real nor G's.

A D that has only ever seen G's latest fakes knows nothing of anything else, and may praise a letter or a blank page. So
when the game is over, and only then, D goes on alone: a part of its fakes are what G drew in earlier epochs, the rest
are pictures that nobody would take for real (`training.export.negatives`). G's own samples are not among them: a D that
goes on against a G that stands still learns that G by heart, and the balance that the game came to is lost. Its loss is
the paper's own, on its unconditional logit, and its weights are averaged over these steps. G and the game are as if
this had never happened.

Such a loss no longer weighs real images against G's samples. In the end one number does: what is added to every logit,
chosen so that V(G, D), equation 1, is as large as it can be. Then D(x) of real images and D(G(z)) balance around ½, as
the theory has it, and what is neither comes to lie far below.
"""

import copy
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn

from models.grids import split_grid
from models.images import channels_first, to_float
from models.networks.layers import Dropout, GroupDeviation
from models.networks.packing import PackedDiscriminator
from training.data.dataset import Dataset
from training.errors import NotFiniteError
from training.export.negatives import FROM_IMAGES, LETTERS_WEIGHT, WeightedNegative, letters
from training.gan.ema import EMA
from training.gan.game import draw
from training.gan.losses import discriminator_loss
from training.recipe import Recipe

BATCH_SIZE = 128
LEARNING_RATE = 5e-4
EMA_HALFLIFE_IMAGES = 20_000.0
SHARE_OF_EARLIER = 0.2
BALANCE_IMAGES = 5000
_BLOCK = 500  # images of one pass without gradients


@dataclass(frozen=True)
class Opponents:
    """Where the fakes of a judge's training come from.

    Attributes:
        earlier: [M, C, H, W] uint8, what G drew while it learnt.
        kinds: makers of pictures that are no real images.
    """

    earlier: torch.Tensor
    kinds: tuple[WeightedNegative, ...]


def train_judge(
    discriminator: nn.Module,
    generator: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    timeline: Mapping[int, bytes],
    seed: int,
    say: Callable[[str], None] = print,
) -> nn.Module:
    """D after `recipe.judge_steps` more steps, a new network in evaluation mode; both arguments stay as they are.

    Args:
        discriminator: D as the game left it, [N, C, H, W] float32 in [−1, 1] → logits [N].
        generator: the G that is exported.
        dataset: its training images are the real ones; held-out images are not looked at.
        recipe: for the number of steps, the prior and z_dim.
        timeline: grids of G's samples by epoch, PNG; those of the first half of the training are replayed.
        seed: of the batches and of what is drawn at random.
        say: told how it goes, every tenth of the way.

    Raises:
        NotFiniteError: the loss is NaN or infinite.
    """
    rng = torch.Generator().manual_seed(seed)
    average = EMA(discriminator, halflife_images=EMA_HALFLIFE_IMAGES)
    judge = copy.deepcopy(discriminator).requires_grad_(requires_grad=True).train()
    for layer in judge.modules():
        if isinstance(layer, Dropout):
            layer.rng = rng
        if isinstance(layer, PackedDiscriminator | GroupDeviation):
            layer.training = False  # a judge sees one image at a time
    kinds = (WeightedNegative(letters(dataset.shape.height, seed=seed), LETTERS_WEIGHT), *FROM_IMAGES)
    opponents = Opponents(earlier_samples(timeline, dataset), kinds)
    precision = torch.bfloat16 if recipe.precision == "bfloat16" else torch.float32
    optimiser = torch.optim.Adam(judge.parameters(), lr=LEARNING_RATE, betas=(0.5, 0.99), fused=True)
    for step in range(recipe.judge_steps):
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / recipe.judge_steps)
        real = _some(dataset.images, BATCH_SIZE, rng)
        fake = draw_opponents(opponents, real, rng)
        with torch.autocast("cpu", dtype=precision, enabled=precision == torch.bfloat16):
            logits = judge(torch.cat([real, fake])).float()
        loss = discriminator_loss(*logits.chunk(2))
        if not torch.isfinite(loss):
            raise NotFiniteError(f"D after the game, step {step + 1}: its loss is {float(loss.detach())}")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        average.update(judge, batch_images=BATCH_SIZE, images_seen=(step + 1) * BATCH_SIZE)
        if (step + 1) % max(1, recipe.judge_steps // 10) == 0:
            say(f"D after the game: step {step + 1:,} of {recipe.judge_steps:,}, loss {float(loss.detach()):.3f}")
    judge = average.network.eval()
    real = _some(dataset.images, BALANCE_IMAGES, rng)
    still = copy.deepcopy(generator).eval()
    balance(judge, still, real, draw(recipe.prior, BALANCE_IMAGES, recipe.z_dim, rng=rng))
    return judge


@torch.no_grad()
def draw_opponents(opponents: Opponents, real: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """As many fakes as `real` has images, [N, C, H, W] float32 in [−1, 1]: the mixture of this module's head."""
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
    """Add to D's last bias the number under which V(G, D) is largest: D(x) and 1 − D(G(z)) become equal in the mean.

    dV/db = mean(1 − σ(logit + b)) of real images − mean σ(logit + b) of fakes, which falls in b: its root is found by
    halving an interval.

    Args:
        discriminator: D in evaluation mode; changed in place.
        generator: G in evaluation mode.
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


def earlier_samples(timeline: Mapping[int, bytes], dataset: Dataset) -> torch.Tensor:
    """[M, C, H, W] uint8: the pictures in the timeline's grids of the first half of the training."""
    epochs = sorted(timeline)
    early = [epoch for epoch in epochs if epoch <= epochs[-1] / 2]
    grids = [np.asarray(Image.open(io.BytesIO(timeline[epoch]))) for epoch in early]
    return torch.cat([channels_first(split_grid(grid, dataset.shape.height, padding=2)) for grid in grids])


def _some(images: torch.Tensor, n: int, rng: torch.Generator) -> torch.Tensor:
    """n of [N, C, H, W] uint8, drawn with replacement, as float32 in [−1, 1]."""
    return to_float(images[torch.randint(len(images), (n,), generator=rng)])
