"""`/v1/interpolations`: what a request may ask for, and the answer as JSON."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.api.content_negotiation import InterpolationFormat
from app.api.schemas.fields import MAX_GRID_IMAGES, MAX_PADDING, MAX_SCALE, Digit, ModelName, Reference, Sha256
from app.api.schemas.samples import Sample
from models.interpolation import Mode, path_length
from models.latents import SEED_LIMIT

MAX_PATH_SEEDS = 16
"""The most seeds that a path goes through."""

MAX_STEPS = 256
"""The most images from one seed to the next: 16 seeds of 256 steps make as many images as a grid may have."""

MAX_ANIMATION_MS = 600_000
"""The longest animation. A GIF's delay has 16 bits (655,350 ms), and equal images share one delay."""


class InterpolationQuery(BaseModel):
    """Which path to draw, and how to send it."""

    model_config = ConfigDict(extra="forbid")

    seeds: str = Field(
        description=f"2 to {MAX_PATH_SEEDS} seeds, 0 ≤ seed < 2⁵³, with commas between: the path goes through image 0 "
        "of each. One may come more than once",
        examples=["7,8,9"],
        json_schema_extra={"pattern": rf"^\d{{1,16}}(,\d{{1,16}}){{1,{MAX_PATH_SEEDS - 1}}}$"},
    )
    steps: int = Field(
        default=16,
        ge=1,
        le=MAX_STEPS,
        description="Images from one seed to the next, counting the first and not the next: k seeds make a path of "
        "(k − 1) · steps + 1 images, or k · steps with `loop`",
        examples=[16],
    )
    mode: Mode | None = Field(
        default=None,
        description="`slerp`: along the great circle, the norm evenly from one end's to the other's; with a uniform "
        "prior on the normal latents that its own are made of, so that its box is not left. `linear`: a straight "
        "line. Default slerp for models with a normal prior, linear for a uniform one",
        examples=["slerp"],
    )
    loop: bool = Field(
        default=False, description="Go back to the first seed, and stop one step before", examples=[True]
    )
    model: ModelName = None
    digit: Digit = None
    columns: int | None = Field(
        default=None,
        ge=1,
        le=MAX_GRID_IMAGES,
        description="png: images in a row; default all in one. `columns` = `steps` begins a row with each seed",
        examples=[16],
    )
    padding: int = Field(
        default=2, ge=0, le=MAX_PADDING, description="png: black pixels around each image", examples=[2]
    )
    scale: int = Field(
        default=1,
        ge=1,
        le=MAX_SCALE,
        description="png, gif, webp: each pixel becomes scale × scale",
        examples=[3],
    )
    duration_ms: int = Field(
        default=60,
        ge=20,
        le=10_000,
        description=f"gif, webp: of one image, all of them at most {MAX_ANIMATION_MS:,} ms; gif to the nearest 10 ms",
        examples=[60],
    )
    format: InterpolationFormat | None = Field(
        default=None,
        description="`gif` and `webp` move (webp lossless; gif has 256 colours, enough for grey), `png` is a strip. "
        "Without it the Accept header decides; else png",
        examples=[None, "gif"],
    )

    @field_validator("seeds")
    @classmethod
    def _are_seeds(cls, text: str) -> str:
        parts = [part.strip() for part in text.split(",")]
        if not 2 <= len(parts) <= MAX_PATH_SEEDS:
            raise ValueError(f"a path goes through 2 to {MAX_PATH_SEEDS} seeds with commas between, not {len(parts)}")
        for part in parts:
            digits = part.isascii() and part.isdigit() and len(part) <= len(str(SEED_LIMIT))
            if not digits or int(part) >= SEED_LIMIT:
                raise ValueError(f"each seed must be an integer, 0 ≤ seed < 2**53, not {part[:40]!r}")
        return ",".join(str(int(part)) for part in parts)

    @property
    def seed_list(self) -> list[int]:
        """The seeds as numbers."""
        return [int(seed) for seed in self.seeds.split(",")]

    @property
    def n(self) -> int:
        """Images of the path."""
        return path_length(len(self.seed_list), steps=self.steps, loop=self.loop)


class InterpolationAnswer(BaseModel):
    """A path as JSON."""

    model: Reference
    model_sha256: Sha256
    seeds: list[int] = Field(description="Those of the path's corners", examples=[[7, 8, 9]])
    steps: int = Field(description="Images from one seed to the next", examples=[16])
    mode: Mode = Field(examples=["slerp"])
    prior: str = Field(examples=["normal"])
    z_dim: int = Field(examples=[64])
    width: int = Field(examples=[28])
    height: int = Field(examples=[28])
    channels: int = Field(examples=[1])
    samples: list[Sample] = Field(description="Along the path; the example has the first")
