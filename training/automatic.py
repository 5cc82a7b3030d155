"""Automatic settings: a recipe may give them as "auto", and `fit` computes them from the data by the rules below.

The rules are for residual networks (`models.networks.residual`) in the relativistic game with R1 and R2. A recipe's
`batch_size` and the data decide everything, so that nobody has to search:

| setting | rule |
|---|---|
| `conditional` | true if the images have labels of 2 or more classes |
| `z_dim` | 64 coordinates for noise, and one for each class |
| `r1_gamma`, `r2_gamma` | ½ · (side/32)² / b |
| `learning_rate` of G and D | 10⁻³ / √b |
| `ema_halflife_images` | 312.5 · batch: 20,000 images for a batch of 64 |
| `epochs` | as many as make 12,000 · b steps: 768,000 images for a batch of 64 |

Here b is batch/64, but at least 1: for a smaller batch the other values would become too large, and the run too short.
γ grows with the side² and falls with the batch, as in the rule of StyleGAN2 with adaptive augmentation (Karras et al.
2020, arXiv 2006.06676). For R3GAN's batch of 512 it gives about that paper's last γ for CIFAR-10: 0.06, not 0.05. The
half-life is StyleGAN2's, too. A larger batch is for a faster machine: the run then has more steps, and smaller learning
rates. docs/experiments.md says what was measured.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from models.networks.conditional import MAX_CLASSES

AUTO = "auto"

NOISE = 64
"""Number of a latent's coordinates for noise; those that choose the class are added."""

REFERENCE_SIDE, REFERENCE_BATCH = 32, 64
"""The side of the images and the batch size for which the constants below hold."""

GAMMA = 0.5
LEARNING_RATE = 1e-3
STEPS = 12_000

HALFLIFE_BATCHES = 10_000 / 32


@dataclass(frozen=True)
class Facts:
    """What the rules depend on.

    Attributes:
        side: side of the images, in pixels.
        images: number of training images.
        classes: number of classes that the labels name; 0 if there are no labels.
        clusters: the recipe's, which take the place of classes; 0 if there are none.
        batch_size: the recipe's.
    """

    side: int
    images: int
    classes: int
    clusters: int
    batch_size: int

    @property
    def conditional(self) -> bool:
        """Whether the game is conditional: there are labels of 2 or more classes, not too many, and no clusters."""
        return not self.clusters and 2 <= self.classes <= MAX_CLASSES

    @property
    def batch_factor(self) -> float:
        """How many times as large as the reference the batch is, at least 1."""
        return max(1.0, self.batch_size / REFERENCE_BATCH)

    @property
    def ballots(self) -> int:
        """The number of a latent's coordinates that choose a class or a cluster."""
        return self.clusters or (self.classes if self.conditional else 0)


Rule: TypeAlias = Callable[[Facts], bool | int | float]


def _gamma(facts: Facts) -> float:
    return GAMMA * (facts.side / REFERENCE_SIDE) ** 2 / facts.batch_factor


def _learning_rate(facts: Facts) -> float:
    return LEARNING_RATE / math.sqrt(facts.batch_factor)


def _epochs(facts: Facts) -> int:
    steps = STEPS * facts.batch_factor
    return math.ceil(steps / max(1, facts.images // facts.batch_size))  # an epoch drops the last, smaller batch


RULES: dict[str, Rule] = {
    "conditional": lambda facts: facts.conditional,
    "z_dim": lambda facts: NOISE + facts.ballots,
    "r1_gamma": _gamma,
    "r2_gamma": _gamma,
    "generator_optimiser.learning_rate": _learning_rate,
    "discriminator_optimiser.learning_rate": _learning_rate,
    "ema_halflife_images": lambda facts: HALFLIFE_BATCHES * facts.batch_size,
    "epochs": _epochs,
}
"""The settings that may be "auto", with the rule of each; a dot separates a section and its key."""


def take_automatic(settings: dict[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return settings with stand-ins in the place of "auto", and the names of these settings. The input is unchanged.

    Only settings with a rule are changed: elsewhere "auto" means something else, or is a mistake.
    """
    names = tuple(name for name in RULES if _value_at(settings, name) == AUTO)
    return resolve(settings, names, _facts_before_the_data(settings)), names


def resolve(settings: dict[str, object], names: tuple[str, ...], facts: Facts) -> dict[str, object]:
    """Return settings in which the named ones have the values that the rules give for these facts."""
    return _with_values(settings, {name: RULES[name](facts) for name in names})


def with_automatic(settings: dict[str, object], names: tuple[str, ...]) -> dict[str, object]:
    """Return settings in which the named ones are "auto": the inverse of `take_automatic`."""
    return _with_values(settings, dict.fromkeys(names, AUTO))


def _facts_before_the_data(settings: dict[str, object]) -> Facts:
    batch_size, clusters = settings.get("batch_size"), settings.get("clusters")
    return Facts(
        side=REFERENCE_SIDE,
        images=50_000,
        classes=0,
        clusters=clusters if isinstance(clusters, int) and 0 <= clusters <= MAX_CLASSES else 0,
        batch_size=batch_size if isinstance(batch_size, int) and batch_size > 0 else REFERENCE_BATCH,
    )


def _value_at(settings: dict[str, object], name: str) -> object:
    section, _, key = name.rpartition(".")
    table = settings.get(section) if section else settings
    return table.get(key) if isinstance(table, dict) else None


def _with_values(settings: dict[str, object], values: Mapping[str, object]) -> dict[str, object]:
    changed = dict(settings)
    for name, value in values.items():
        section, _, key = name.rpartition(".")
        if section:
            table = changed[section]
            changed[section] = {**table, key: value} if isinstance(table, dict) else table
        else:
            changed[key] = value
    return changed
