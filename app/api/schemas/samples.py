"""`/v1/samples`: what a request may ask for, and the answer as JSON."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from app.api.content_negotiation import SamplesFormat
from app.api.openapi import examples
from app.api.schemas.fields import MAX_GRID_IMAGES, MAX_PADDING, MAX_SCALE, Digit, ModelName, Reference, Sha256
from models.latents import INDEX_LIMIT, SEED_LIMIT

MAX_ARCHIVE_IMAGES = 100_000
"""The most images of one npz or zip."""

MAX_POSTED_LATENTS = 4096
"""The most latents of one POST."""


class SamplesQuery(BaseModel):
    """What to draw, and how to send it."""

    model_config = ConfigDict(extra="forbid")

    n: int = Field(
        default=64,
        ge=1,
        le=MAX_ARCHIVE_IMAGES,
        description=f"How many: 1 to {MAX_GRID_IMAGES:,} as png and json, to {MAX_ARCHIVE_IMAGES:,} as npz and zip",
        examples=[64],
    )
    seed: int | None = Field(
        default=None, ge=0, lt=SEED_LIMIT, description="0 ≤ seed < 2⁵³; without one, one is drawn", examples=[7]
    )
    first: int = Field(default=0, ge=0, lt=INDEX_LIMIT, description="Index of the seed's first image", examples=[0])
    model: ModelName = None
    columns: int | None = Field(
        default=None,
        ge=1,
        le=MAX_GRID_IMAGES,
        description="png: images in a row; default the squarest grid",
        examples=[8],
    )
    padding: int = Field(
        default=2, ge=0, le=MAX_PADDING, description="png: black pixels around each image of a grid", examples=[2]
    )
    scale: int = Field(default=1, ge=1, le=MAX_SCALE, description="png: each pixel becomes scale × scale", examples=[3])
    truncation: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="ψ: latents are scaled towards 0; less variety, fewer oddities",
        examples=[1.0, 0.8],
    )
    digit: Digit = None
    format: SamplesFormat | None = Field(
        default=None, description="Without it the Accept header decides; else png", examples=[None, "png"]
    )

    @model_validator(mode="after")
    def _ends_in_range(self) -> Self:
        if self.first + self.n > INDEX_LIMIT:
            raise ValueError(f"first + n must be at most 2**53, not {self.first} + {self.n}")
        return self


# The check stops at the first error: an error takes a hundred times the bytes of the wrong number that it reports.
Latent = Annotated[list[Annotated[FiniteFloat, Field(strict=True)]], Field(max_length=4096, fail_fast=True)]


class SamplesBody(SamplesQuery):
    """The same as JSON; or `latents` in place of seed, first, n, truncation and digit."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"n": 16, "seed": 7, "model": examples.MODEL, "format": "png"}]}
    )

    latents: list[Latent] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_POSTED_LATENTS,
        fail_fast=True,
        description="Draw exactly these: lists of z_dim numbers, such as an earlier answer's",
    )

    @field_validator("n", "seed", "first", "columns", "padding", "scale", "truncation", "digit", mode="before")
    @classmethod
    def _is_number(cls, value: object) -> object:
        """Refuse `"7"` and `true`, which are not numbers in JSON. `SamplesQuery` takes texts: a query has no others."""
        if isinstance(value, bool | str):
            raise ValueError("Input should be a number")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.latents is not None:
            both = sorted({"seed", "first", "n", "truncation", "digit"} & self.model_fields_set)
            if both:
                raise ValueError(f"latents stand in place of {', '.join(both)}; send one or the other")
        return self


class Sample(BaseModel):
    """One image and where it comes from."""

    index: int = Field(
        description="Its index within the seed, among the posted latents, or along the path", examples=[0]
    )
    latent: list[float] = Field(
        description="z, exact float32 values: posted back, they give the identical image. The example has the first "
        "three of `z_dim`",
        examples=[[1.1362472772598267, -0.5377773642539978, -0.20164360105991364]],
    )
    png: str = Field(description="The image as PNG, base64", examples=[examples.SAMPLE_PNG])


class SamplesAnswer(BaseModel):
    """Samples as JSON."""

    model: Reference
    model_sha256: Sha256
    seed: int | None = Field(description="null for posted latents", examples=[7])
    first: int = Field(examples=[0])
    prior: str = Field(examples=["normal"])
    z_dim: int = Field(examples=[64])
    width: int = Field(examples=[28])
    height: int = Field(examples=[28])
    channels: int = Field(examples=[1])
    samples: list[Sample] = Field(description="The example has the first")
