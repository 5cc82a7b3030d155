"""Recipes: every setting of a training run, in one readable TOML file each."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.images import MAX_SIDE, MIN_SIDE
from models.latents import Prior
from models.networks.architectures import Architecture
from models.networks.layers import GroupDeviation
from training.errors import RecipeError
from training.overrides import apply_override

FOLDER = Path(__file__).parent / "recipes"


LossName: TypeAlias = Literal["non-saturating", "minimax", "hinge", "least-squares", "wasserstein", "relativistic"]

AFTER_THE_GAME = ("judge_steps", "encoder_steps", "quantise")
"""Settings of what `export` does with a run."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)  # JSON knows neither


class Adam(_Settings):
    """Adam (Kingma and Ba, 2014), its learning rate falling in a straight line over the run."""

    name: Literal["adam"]
    learning_rate: float = Field(gt=0)
    learning_rate_final: float | None = Field(default=None, ge=0, description="At the last epoch; None: constant")
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)

    def learning_rate_at(self, step: int, *, steps: int) -> float:
        """Learning rate of step `step` (from 0) of a run of `steps` steps."""
        if self.learning_rate_final is None:
            return self.learning_rate
        done = min(1.0, step / max(1, steps))
        return self.learning_rate + (self.learning_rate_final - self.learning_rate) * done


class SGD(_Settings):
    """Gradient descent with momentum: v ← μ·v + ∇, θ ← θ − η·v, with η and μ as the 2014 paper's code moves them."""

    name: Literal["sgd"]
    learning_rate: float = Field(gt=0)
    learning_rate_decay: float = Field(default=1.0, ge=1, description="η is divided by it after each step")
    learning_rate_min: float = Field(default=0.0, ge=0)
    momentum_start: float = Field(default=0.0, ge=0, lt=1)
    momentum_final: float = Field(default=0.0, ge=0, lt=1)
    momentum_saturates_epoch: int = Field(default=1, ge=1, description="μ grows in a straight line until this epoch")

    def learning_rate_at(self, step: int, *, steps: int) -> float:
        """Learning rate of step `step` (from 0); the length of the run does not matter."""
        del steps
        try:
            decayed = self.learning_rate / self.learning_rate_decay**step
        except OverflowError:  # the divisor is beyond float64
            decayed = 0.0
        return max(self.learning_rate_min, decayed)

    def momentum_at(self, epoch: int) -> float:
        """Momentum of epoch `epoch` (from 1)."""
        done = min(1.0, (epoch - 1) / max(1, self.momentum_saturates_epoch - 1))
        return self.momentum_start + (self.momentum_final - self.momentum_start) * done


Optimiser: TypeAlias = Annotated[Adam | SGD, Field(discriminator="name")]


class Recipe(_Settings):
    """All settings of the game."""

    description: str
    architecture: Architecture
    z_dim: int = Field(ge=1, le=4096, description="Coordinates of a latent")
    prior: Prior
    conditional: bool = Field(default=False, description="G draws a class that is asked for; the data need labels")
    loss: LossName = Field(description="What D and G minimise")
    updates: Literal["alternating", "simultaneous"] = Field(
        default="alternating",
        description="G steps after D, on fresh latents; or with D's last step, on the same samples",
    )
    r1_gamma: float = Field(default=0.0, ge=0, description="γ of R1: γ/2·mean ‖∇D‖² on real images")
    r2_gamma: float = Field(default=0.0, ge=0, description="γ of R2: the same on fakes")
    gradient_penalty: float = Field(default=0.0, ge=0, description="λ of WGAN-GP: λ·mean (‖∇D‖ − 1)² between the two")
    penalty_interval: int = Field(
        default=1, ge=1, le=1000, description="Penalties in every so manieth D step, as many times as strong"
    )
    spectral_norm: bool = Field(default=False, description="Each layer of D has norm 1 (Miyato et al. 2018)")
    packing: int = Field(default=1, ge=1, le=8, description="m, images that D judges at once (PacGAN)")
    augmentation: float = Field(default=0.0, ge=0, le=1, description="Probability of each differentiable augmentation")
    d_steps: int = Field(default=1, ge=1, le=100, description="k, D's steps for each of G's; each takes its own batch")
    batch_size: int = Field(ge=2, description="Real images of one D step; G's samples of each step")
    epochs: int = Field(ge=1, description="Passes over the data")
    train_images: int | None = Field(default=None, ge=20, description="Use the first so many; None: all")
    image_side: int | None = Field(
        default=None, ge=MIN_SIDE, le=MAX_SIDE, description="Resize to it; None: as they are"
    )
    generator_optimiser: Optimiser
    discriminator_optimiser: Optimiser
    ema_halflife_images: float = Field(
        default=0.0, ge=0, description="Half-life of G's average in images; 0: no average"
    )
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        default="float32", description="Of the networks' products; auto: bfloat16 where the processor has it"
    )
    judge_steps: int = Field(default=0, ge=0, description="D's steps after the game, against all that is no real image")
    encoder_steps: int = Field(
        default=0, ge=0, description="Steps that fit an encoder to G at export, for projections; 0: no encoder"
    )
    quantise: bool = Field(default=False, description="At export, G's weights and activations become 8 bits wide")
    metrics_every_epochs: int = Field(default=0, ge=0, description="Figures of G's samples every so often; 0: never")
    grid_every_epochs: int = Field(
        default=1,
        ge=1,
        description="A picture of the fixed latents every so many epochs, and after each of the first so many",
    )
    checkpoint_interval_s: float = Field(default=30.0, ge=0, description="Seconds between saved states, at least")

    @property
    def images_a_group(self) -> int:
        """Images that D sees together: rows of a batch that follow each other."""
        return self.packing * (GroupDeviation.GROUP if getattr(self.architecture, "group_deviation", False) else 1)

    def check_processes(self, processes: int) -> None:
        """See to it that so many processes can share each batch evenly.

        Raises:
            RecipeError: they cannot.
        """
        smallest = processes * self.images_a_group
        if self.batch_size % smallest:
            together = f" of images that D sees {self.images_a_group} at once" if self.images_a_group > 1 else ""
            nearest = max(smallest, round(self.batch_size / smallest) * smallest)
            raise RecipeError(
                f"batch_size is {self.batch_size}{together}, which {processes} processes cannot share evenly: "
                f"`--set batch_size={nearest}`, or another `--nproc-per-node`"
            )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.batch_size % self.images_a_group:
            raise ValueError(f"batch_size must be a multiple of {self.images_a_group}, the images that D sees together")
        if self.conditional and self.packing > 1:
            raise ValueError("packing is for an unconditional game: the images of a pack would have several classes")
        if self.quantise and not self.architecture.quantisable:
            raise ValueError(f"the G of {self.architecture.name} cannot be quantised: set quantise=false")
        return self


def recipe_names() -> list[str]:
    """The names of the recipes that come with this package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_recipe(name: str, overrides: list[str] | None = None) -> Recipe:
    """A recipe by name, or by the path of a TOML file, with `key=value` overrides laid over it.

    Args:
        name: one of `recipe_names()`, or a path ending in .toml.
        overrides: such as "epochs=3" or "generator_optimiser.learning_rate=1e-4"; values as TOML writes them,
            quotes may be left out.

    Raises:
        RecipeError: no such recipe, or mistakes in it; all of them in one text.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        raise RecipeError(f"there is no recipe {name!r}; there are: {', '.join(recipe_names())}, or a path to a .toml")
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    for override in overrides or []:
        apply_override(settings, override)
    return validate_recipe(settings, source=name)


def change_after_the_game(recipe: Recipe, overrides: list[str]) -> Recipe:
    """A run's recipe with other settings of what comes after the game, which the run has not used yet.

    Raises:
        RecipeError: a setting is wrong, or one of the game itself.
    """
    settings = recipe.model_dump(mode="json")
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key not in AFTER_THE_GAME:
            raise RecipeError(
                f"export takes --set of {', '.join(AFTER_THE_GAME)} alone, not of {key!r}: the rest has decided "
                "the run already; `fit` takes it"
            )
        apply_override(settings, override)
    return validate_recipe(settings, source="of the run")


def validate_recipe(settings: object, *, source: str) -> Recipe:
    """A recipe from parsed TOML or JSON; `source` is only named in errors.

    Raises:
        RecipeError: names every mistake.
    """
    try:
        return Recipe.model_validate(settings)
    except ValidationError as error:
        mistakes = [f"  {_place(mistake['loc'])}: {_say(mistake['msg'])}" for mistake in error.errors()]
        raise RecipeError("\n".join([f"recipe {source!r} has {len(mistakes)} mistake(s):", *mistakes])) from error


def _place(location: tuple[int | str, ...]) -> str:
    # A discriminated union adds the name of its member behind the section's; the person wrote none.
    members = {"mlp", "goodfellow2014", "conv", "adam", "sgd"}
    return ".".join(str(part) for depth, part in enumerate(location) if depth != 1 or part not in members)


def _say(message: str) -> str:
    return {"Extra inputs are not permitted": "there is no such key"}.get(message, message)
