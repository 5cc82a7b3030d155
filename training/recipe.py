"""Recipes: a recipe is one readable TOML file with the settings of a training run."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from models.files import is_system_file
from models.images import MAX_SIDE, MIN_SIDE
from models.latents import Prior
from models.model_folder.game_rules import GameRules, LossName
from models.networks.architectures import Architecture
from models.networks.conditional import MAX_CLASSES
from models.networks.conv import Conv
from models.networks.goodfellow2014 import Goodfellow2014
from models.networks.layers import GroupDeviation
from models.networks.mlp import MLP
from models.networks.residual import Residual
from models.validation import plain
from training.automatic import NOISE, Facts, resolve, take_automatic, with_automatic
from training.errors import RecipeError
from training.overrides import apply_override

FOLDER = Path(__file__).parent / "recipes"


AFTER_THE_GAME = ("judge_steps", "encoder_steps", "quantise", "tone_curve", "judge_variations")
"""The settings that only `export` uses; `fit` and `resume` do not."""

MIN_TRAIN_IMAGES = 20
"""The smallest number of training images that a recipe may ask for."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)  # JSON has neither NaN nor infinity


class Adam(_Settings):
    """Adam (Kingma and Ba, 2014); its learning rate may change linearly over the run."""

    name: Literal["adam"]
    learning_rate: float = Field(gt=0)
    learning_rate_final: float | None = Field(default=None, ge=0, description="At the end of the run; None: constant")
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)

    def learning_rate_at(self, step: int, *, steps: int) -> float:
        """Return the learning rate of step `step` (from 0) in a run of `steps` steps."""
        if self.learning_rate_final is None:
            return self.learning_rate
        done = min(1.0, step / max(1, steps))
        return self.learning_rate + (self.learning_rate_final - self.learning_rate) * done


class SGD(_Settings):
    """Gradient descent with momentum: v ← μ·v + ∇, θ ← θ − η·v, with η and μ scheduled as in the 2014 paper's code."""

    name: Literal["sgd"]
    learning_rate: float = Field(gt=0)
    learning_rate_decay: float = Field(default=1.0, ge=1, description="η is divided by this after each step")
    learning_rate_min: float = Field(default=0.0, ge=0)
    momentum_start: float = Field(default=0.0, ge=0, lt=1)
    momentum_final: float = Field(default=0.0, ge=0, lt=1)
    momentum_saturates_epoch: int = Field(default=1, ge=1, description="μ grows linearly until this epoch")

    def learning_rate_at(self, step: int, *, steps: int) -> float:
        """Return the learning rate of step `step` (from 0); the length of the run does not matter."""
        del steps
        try:
            decayed = self.learning_rate / self.learning_rate_decay**step
        except OverflowError:  # the divisor is too large for float64
            decayed = 0.0
        return max(self.learning_rate_min, decayed)

    def momentum_at(self, epoch: int) -> float:
        """Return the momentum of epoch `epoch` (from 1)."""
        done = min(1.0, (epoch - 1) / max(1, self.momentum_saturates_epoch - 1))
        return self.momentum_start + (self.momentum_final - self.momentum_start) * done


Optimiser: TypeAlias = Annotated[Adam | SGD, Field(discriminator="name")]


MAX_EPOCHS = 10_000_000
"""The largest number of epochs that a recipe may ask for."""

AugmentationName: TypeAlias = Literal["mirror", "affine", "colour", "translation", "cutout"]
"""The random changes of `training.gan.augmentation`."""


class Recipe(_Settings):
    """All settings of a training run, and of its export."""

    description: str
    architecture: Architecture
    z_dim: int = Field(ge=1, le=4096, description="Number of coordinates of a latent")
    prior: Prior
    conditional: bool = Field(default=False, description="Whether G draws the class it is given; needs labels")
    clusters: int = Field(
        default=0,
        ge=0,
        le=MAX_CLASSES,
        description="Clusters of the images, found without labels, that take the place of labels; 0: none",
    )
    loss: LossName = Field(description="The losses that D and G minimise")
    updates: Literal["alternating", "simultaneous"] = Field(
        default="alternating",
        description="alternating: G steps after D, on fresh latents; simultaneous: with D's last step, on its samples",
    )
    r1_gamma: float = Field(default=0.0, ge=0, description="γ of R1: γ/2·mean ‖∇D‖² on real images")
    r2_gamma: float = Field(default=0.0, ge=0, description="γ of R2: γ/2·mean ‖∇D‖² on fakes")
    gradient_penalty: float = Field(
        default=0.0, ge=0, description="λ of WGAN-GP: λ·mean (‖∇D‖ − 1)² at points between real images and fakes"
    )
    penalty_interval: int = Field(
        default=1, ge=1, le=1000, description="N: apply D's penalties at every N-th step of G, scaled by N"
    )
    spectral_norm: bool = Field(default=False, description="Keep D's layers at spectral norm 1 (Miyato et al. 2018)")
    packing: int = Field(default=1, ge=1, le=8, description="m of PacGAN: images that D judges together")
    augmentation: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Probability of each differentiable augmentation; with augmentation_target, at the start",
    )
    augmentation_target: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Adapt the probability: it rises while D overfits more than this, else it falls; None: constant",
    )
    augmentations: tuple[AugmentationName, ...] = Field(
        default=("translation", "cutout"),
        description="The augmentations: mirror, affine, colour, translation, cutout; no mirror for digits and letters",
    )
    d_steps: int = Field(default=1, ge=1, le=100, description="k: D steps before each G step, each on its own batch")
    batch_size: int = Field(ge=2, description="Real images in a D step, and samples of G in every step")
    epochs: int = Field(ge=1, le=MAX_EPOCHS, description="Passes over the data")
    train_images: int | None = Field(
        default=None, ge=MIN_TRAIN_IMAGES, description="Train on the first N images; None: all"
    )
    image_side: int | None = Field(
        default=None, ge=MIN_SIDE, le=MAX_SIDE, description="Crop and resize images to this side; None: do not"
    )
    generator_optimiser: Optimiser
    discriminator_optimiser: Optimiser
    ema_halflife_images: float = Field(
        default=0.0, ge=0, description="Half-life of the average of G's weights, in images; 0: no average"
    )
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        default="float32", description="Precision of the networks' products; auto: bfloat16 if the hardware supports it"
    )
    judge_steps: int = Field(
        default=0, ge=0, description="D's extra steps at export, against several kinds of images that are not real"
    )
    judge_variations: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of real digits that are varied in these steps (pen, hand, scanner); for MNIST only",
    )
    encoder_steps: int = Field(
        default=0, ge=0, description="Steps that train an encoder for G at export, for projections; 0: no encoder"
    )
    quantise: bool = Field(default=False, description="At export, quantise G's weights and activations to 8 bits")
    tone_curve: bool = Field(
        default=False, description="At export, give G's images the grey levels of the training images"
    )
    metrics_every_epochs: int = Field(default=0, ge=0, description="Measure G's samples every N epochs; 0: never")
    grid_every_epochs: int = Field(
        default=1,
        ge=1,
        description="N: draw the fixed latents every N epochs, and after each of the first N (at most 10)",
    )
    checkpoint_interval_s: float = Field(default=30.0, ge=0, description="Least time between saved states, in seconds")
    automatic: tuple[str, ...] = Field(
        default=(), exclude=True, description='Settings given as "auto", until `for_data` replaces their stand-ins'
    )

    @property
    def rules(self) -> GameRules:
        """The rules of the game."""
        return GameRules(**{name: getattr(self, name) for name in GameRules.model_fields})

    @property
    def images_a_group(self) -> int:
        """The number of consecutive images of a batch that D sees together."""
        return self.packing * (GroupDeviation.GROUP if getattr(self.architecture, "group_deviation", False) else 1)

    def settings(self) -> dict[str, object]:
        """Return the settings as a recipe's file has them: with "auto" in the place of the stand-ins."""
        return with_automatic(self.model_dump(mode="json"), self.automatic)

    def for_data(self, facts: Facts) -> "Recipe":
        """Return the recipe with the values that the rules of `training.automatic` give where it has "auto".

        Raises:
            RecipeError: the values do not fit the other settings.
        """
        if not self.automatic:
            return self
        settings = resolve(self.model_dump(mode="json"), self.automatic, facts)
        return validate_recipe(settings, source="the recipe with its automatic settings")

    def check_processes(self, processes: int, *, begun: bool = False) -> None:
        """Check that this many processes can share each batch evenly.

        Args:
            processes: the number of processes.
            begun: whether the run has begun, so that its batch size cannot change any more; for the error message.

        Raises:
            RecipeError: the batch size cannot be divided among this many processes.
        """
        smallest = processes * self.images_a_group
        if self.batch_size % smallest:
            together = f" (D sees {self.images_a_group} images at once)" if self.images_a_group > 1 else ""
            nearest = max(smallest, round(self.batch_size / smallest) * smallest)
            fewer = next(n for n in range(processes, 0, -1) if self.batch_size % (n * self.images_a_group) == 0)
            size = "" if begun else f"`--set batch_size={nearest}`, or "
            raise RecipeError(
                f"batch_size is {self.batch_size}, which {processes} processes cannot share evenly{together}: "
                f"use {size}{fewer} process(es) (`--nproc-per-node {fewer}` on one machine)"
            )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.batch_size % self.images_a_group:
            raise ValueError(
                f"batch_size is {self.batch_size}; it must be a multiple of {self.images_a_group}, the number of "
                "images that D sees together"
            )
        if len(set(self.augmentations)) < len(self.augmentations):
            raise ValueError(f"augmentations names one twice: {', '.join(self.augmentations)}; name each once")
        if not self.augmentations and (self.augmentation or self.augmentation_target is not None):
            raise ValueError(
                "augmentations is empty, but augmentation or augmentation_target asks for some: name at least one, "
                "such as translation, or set augmentation=0 and augmentation_target=none"
            )
        if self.conditional and self.clusters:
            raise ValueError(
                f"clusters is {self.clusters}, and clusters take the place of labels, which a conditional game uses: "
                "set conditional=false or clusters=0"
            )
        if self.clusters == 1 or self.clusters >= self.z_dim:
            raise ValueError(
                f"clusters is {self.clusters} and z_dim {self.z_dim}; clusters must be 0, or from 2 to z_dim − 1, "
                f"because each takes a coordinate of the latent: set z_dim={self.clusters + NOISE}, for example"
            )
        if self.clusters and self.packing > 1:
            raise ValueError(
                f"packing is {self.packing}, but a game with clusters needs packing=1, because images of a pack may be "
                "of different clusters: set packing=1 or clusters=0"
            )
        if self.quantise and isinstance(self.architecture, Residual):
            raise ValueError(
                "quantise is true, but 8-bit arithmetic is only there for fully connected layers and transposed "
                "convolutions, and not for residual networks: set quantise=false"
            )
        if self.spectral_norm and isinstance(self.architecture, Residual):
            raise ValueError(
                "spectral_norm is true, but residual networks begin with layers of zeros, whose norm cannot become 1: "
                "set spectral_norm=false, and restrain D with r1_gamma and r2_gamma"
            )
        if self.conditional and self.packing > 1:
            raise ValueError(
                f"packing is {self.packing}, but a conditional game needs packing=1, because images of a pack may have "
                "different classes: set packing=1 or conditional=false"
            )
        return self


_SWITCHES = frozenset(
    name
    for model in (Recipe, MLP, Goodfellow2014, Conv, Residual)
    for name, field in model.model_fields.items()
    if field.annotation is bool
)
"""The settings that are true or false."""

_WANTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
}
"""What a setting must be, by pydantic's name of the mistake; its other messages are plain already."""


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with this package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml") if not is_system_file(path))


def load_recipe(name: str, overrides: list[str] | None = None) -> Recipe:
    """Load a recipe by its name, or by the path of a TOML file, and apply `key=value` overrides to it.

    Args:
        name: one of `recipe_names()`, or a path ending in .toml.
        overrides: the changed settings, for example "epochs=3" or "generator_optimiser.learning_rate=1e-4". Values are
            written as in TOML; the quotes of a text may be left out.

    Raises:
        RecipeError: there is no such recipe, or it has mistakes; the message lists all of them.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        raise RecipeError(f"there is no recipe {name!r}; use {', '.join(recipe_names())}, or the path of a .toml file")
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors of Windows begin files with a mark
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    for override in overrides or []:
        apply_override(settings, override)
    return validate_recipe(settings, source=f"recipe {name!r}")


def change_after_the_game(recipe: Recipe, overrides: list[str]) -> Recipe:
    """Return a run's recipe with other settings for the export; the run itself has not used these.

    Raises:
        RecipeError: a setting is invalid, or is not one of `AFTER_THE_GAME`.
    """
    settings = recipe.model_dump(mode="json")
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key not in AFTER_THE_GAME:
            raise RecipeError(
                f"export can change only {', '.join(AFTER_THE_GAME)} with --set, not {key!r}: the run was made with "
                "the other settings; give them to `fit`"
            )
        apply_override(settings, override)
    return validate_recipe(settings, source="--set")


def validate_recipe(settings: object, *, source: str) -> Recipe:
    """Check parsed TOML or JSON and return it as a recipe; `source` is the subject of the error message.

    Raises:
        RecipeError: the settings have mistakes; the message lists all of them.
    """
    automatic: tuple[str, ...] = ()
    if isinstance(settings, dict):
        settings, automatic = take_automatic(settings)
        if "automatic" in settings:
            raise RecipeError(f'{source} has 1 mistake(s):\n  automatic: there is no such key; give settings as "auto"')
    try:
        recipe = Recipe.model_validate(_with_booleans_as_text(settings))
    except ValidationError as error:
        mistakes = [f"  {_place(mistake['loc'])}{_say(mistake)}" for mistake in error.errors()]
        raise RecipeError("\n".join([f"{source} has {len(mistakes)} mistake(s):", *mistakes])) from error
    return recipe.model_copy(update={"automatic": automatic}) if automatic else recipe


def _place(location: tuple[int | str, ...]) -> str:
    # Pydantic puts the name of a union's member after the section's name; the recipe's author did not write it.
    members = {"mlp", "goodfellow2014", "conv", "residual", "adam", "sgd"}
    place = ".".join(str(part) for depth, part in enumerate(location) if depth != 1 or part not in members)
    return f"{place}: " if place else ""  # a mistake of several keys together has no place


def _say(mistake: ErrorDetails) -> str:
    kind, seen = mistake["type"], mistake["input"]
    if kind == "extra_forbidden":
        return "there is no such key"
    text = _WANTED.get(kind, plain(mistake["msg"]))
    if not isinstance(seen, str | int | float):
        return text
    return f"{text}, not {seen!r}" if isinstance(seen, str) and not seen.strip() else f"{text}, not {seen}"


def _with_booleans_as_text(settings: object, key: str = "") -> object:
    """Return settings in which true and false are texts where a number is wanted: pydantic would take them for 1 and 0.

    Args:
        settings: the settings, or a part of them.
        key: the key whose value they are.
    """
    if isinstance(settings, dict):
        return {name: _with_booleans_as_text(value, name) for name, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [_with_booleans_as_text(value) for value in settings]
    return str(settings).lower() if isinstance(settings, bool) and key not in _SWITCHES else settings
