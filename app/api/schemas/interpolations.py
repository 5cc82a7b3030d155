"""`/v1/interpolations`: what a request may ask for, and the answer as JSON."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.api.class_parameter import check_named
from app.api.content_negotiation import InterpolationFormat
from app.api.schemas.fields import (
    MAX_GRID_IMAGES,
    MAX_PADDING,
    MAX_SCALE,
    Channels,
    Digit,
    Height,
    ModelName,
    NamedClass,
    PriorName,
    Reference,
    Sha256,
    Switch,
    Width,
    ZDim,
    read_integer,
)
from app.api.schemas.samples import Sample
from models.interpolation import Mode, path_length
from models.latents import SEED_LIMIT

MAX_PATH_SEEDS = 16
"""The most seeds of a path."""

MAX_STEPS = 256
"""The most images from one seed to the next. 16 seeds with 256 steps each make 4,096 images, the most of a grid."""

MAX_ANIMATION_MS = 600_000
"""The longest animation, in ms. A GIF's delay has 16 bits (at most 655,350 ms), and equal images share one delay."""


class InterpolationQuery(BaseModel):
    """Which path to draw, and in which format to send it."""

    model_config = ConfigDict(extra="forbid")

    seeds: str = Field(
        description=f"2 to {MAX_PATH_SEEDS} seeds, separated by commas, each 0 ≤ seed < 2⁵³. The path goes through "
        "image 0 of each. A seed may be given more than once",
        examples=["7,8,9"],
        json_schema_extra={"pattern": rf"^\d{{1,16}}(,\d{{1,16}}){{1,{MAX_PATH_SEEDS - 1}}}$"},
    )
    steps: int = Field(
        default=16,
        ge=1,
        le=MAX_STEPS,
        description="Number of images from one seed to the next, with the image of the first seed and without that of "
        "the next. A path through k seeds has (k − 1) · steps + 1 images, or k · steps with `loop`",
        examples=[16],
    )
    mode: Mode | None = Field(
        default=None,
        description="How the latent goes from one seed to the next. `slerp`: the direction follows the great circle, "
        "and the norm changes evenly. For a model with a uniform prior this happens in the normal latents to which "
        "its own correspond, so that they stay in their range. `linear`: a straight line. Default: slerp for a normal "
        "prior, linear for a uniform one",
        examples=["slerp"],
    )
    loop: Switch = Field(
        default=False,
        description="Whether the path returns from the last seed to the first. It ends one step before the first image",
        examples=[True],
    )
    model: ModelName = None
    digit: Digit = None
    class_: NamedClass = None
    columns: int | None = Field(
        default=None,
        ge=1,
        le=MAX_GRID_IMAGES,
        description="png: number of images in a row. Default: all in one row. If it is equal to `steps`, each seed "
        "begins a row",
        examples=[16],
    )
    padding: int = Field(
        default=2, ge=0, le=MAX_PADDING, description="png: black pixels around each image", examples=[2]
    )
    scale: int = Field(
        default=1,
        ge=1,
        le=MAX_SCALE,
        description="png, gif, webp: each pixel becomes scale × scale pixels",
        examples=[3],
    )
    duration_ms: int = Field(
        default=60,
        ge=20,
        le=10_000,
        description="gif, webp: how long each image is shown, in ms; a gif rounds it to 10 ms. All images together may "
        f"be shown for at most {MAX_ANIMATION_MS:,} ms",
        examples=[60],
    )
    format: InterpolationFormat | None = Field(
        default=None,
        description="`png` is a strip of the images, `gif` and `webp` are animations, and `json` has the latents, too. "
        "A webp is lossless; a gif has 256 colours, which is enough for grey images. Default: the best match for the "
        "Accept header, else png",
        examples=[None, "gif"],
    )

    _integers = field_validator("steps", "digit", "columns", "padding", "scale", "duration_ms", mode="before")(
        read_integer
    )
    _names = field_validator("class_", mode="before")(check_named)

    @field_validator("seeds")
    @classmethod
    def _are_seeds(cls, text: str) -> str:
        parts = text.split(",")
        if not 2 <= len(parts) <= MAX_PATH_SEEDS:
            raise ValueError(f"a path needs 2 to {MAX_PATH_SEEDS} seeds, separated by commas, not {len(parts)}")
        for part in parts:
            digits = part.isascii() and part.isdigit() and len(part) <= len(str(SEED_LIMIT))
            if not digits or int(part) >= SEED_LIMIT:
                raise ValueError(f"each seed must be an integer with 0 ≤ seed < 2**53, not {part[:40]!r}")
        return ",".join(str(int(part)) for part in parts)

    @property
    def seed_list(self) -> list[int]:
        """The seeds as numbers."""
        return [int(seed) for seed in self.seeds.split(",")]

    @property
    def n(self) -> int:
        """Number of images of the path."""
        return path_length(len(self.seed_list), steps=self.steps, loop=self.loop)


class InterpolationAnswer(BaseModel):
    """A path as JSON."""

    model: Reference
    model_sha256: Sha256
    seeds: list[int] = Field(description="The seeds that the path goes through", examples=[[7, 8, 9]])
    steps: int = Field(description="Number of images from one seed to the next", examples=[16])
    mode: Mode = Field(description="How the latent goes from one seed to the next", examples=["slerp"])
    prior: PriorName
    z_dim: ZDim
    width: Width
    height: Height
    channels: Channels
    samples: list[Sample] = Field(description="The samples along the path. The example has the first")
