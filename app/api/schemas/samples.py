"""`/v1/samples`: what a request may ask for, and the answer as JSON."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from app.api.class_parameter import check_named
from app.api.content_negotiation import SamplesFormat
from app.api.openapi import examples
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
    Width,
    ZDim,
    read_integer,
    read_number,
)
from app.api.strict_route import names_of
from models.latents import INDEX_LIMIT, SEED_LIMIT

MAX_ARCHIVE_IMAGES = 100_000
"""The most images in one npz or zip."""

MAX_POSTED_LATENTS = 4096
"""The most latents in one POST."""


class SamplesQuery(BaseModel):
    """Which images to draw, and in which format to send them."""

    model_config = ConfigDict(extra="forbid")

    n: int = Field(
        default=64,
        ge=1,
        le=MAX_ARCHIVE_IMAGES,
        description=f"Number of images: 1 to {MAX_GRID_IMAGES:,} as png or json, 1 to {MAX_ARCHIVE_IMAGES:,} as npz or "
        "zip",
        examples=[64],
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=SEED_LIMIT,
        description="The seed of the images, 0 ≤ seed < 2⁵³. Default: a random seed, which the header X-Seed names",
        examples=[7],
    )
    first: int = Field(
        default=0,
        ge=0,
        lt=INDEX_LIMIT,
        description="Index of the first image. The images of a seed are numbered from 0",
        examples=[0],
    )
    model: ModelName = None
    columns: int | None = Field(
        default=None,
        ge=1,
        le=MAX_GRID_IMAGES,
        description="png: number of images in a row. Default: the number that makes the grid most nearly square",
        examples=[8],
    )
    padding: int = Field(
        default=2, ge=0, le=MAX_PADDING, description="png: black pixels around each image of a grid", examples=[2]
    )
    scale: int = Field(
        default=1, ge=1, le=MAX_SCALE, description="png: each pixel becomes scale × scale pixels", examples=[3]
    )
    truncation: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="ψ, the factor by which the latents are scaled towards 0. A smaller one gives less variety and "
        "fewer malformed images. The coordinates that choose a class are not scaled, so the class stays the same",
        examples=[1.0, 0.8],
    )
    digit: Digit = None
    class_: NamedClass = None
    format: SamplesFormat | None = Field(
        default=None,
        description="Format of the answer. Default: the best match for the Accept header, else png",
        examples=[None, "png"],
    )

    _integers = field_validator("n", "seed", "first", "columns", "padding", "scale", "digit", mode="before")(
        read_integer
    )
    _numbers = field_validator("truncation", mode="before")(read_number)
    _names = field_validator("class_", mode="before")(check_named)

    @model_validator(mode="after")
    def _ends_in_range(self) -> Self:
        if self.first + self.n > INDEX_LIMIT:
            raise ValueError(f"first + n must be at most 2**53, not {self.first} + {self.n}; lower one of them")
        return self


# The check stops at the first error, since the report of an error takes a hundred times the bytes of a wrong number.
Latent = Annotated[list[Annotated[FiniteFloat, Field(strict=True)]], Field(max_length=4096, fail_fast=True)]


_LIMITS = {"type", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}


def _say_that_null_is_allowed(schema: dict[str, Any]) -> None:
    """Complete the JSON schema of a body: `null` is allowed for every parameter, and means that it is not given."""
    schema["examples"] = [{"n": 16, "seed": 7, "model": examples.MODEL, "format": "png"}]
    for parameter in schema["properties"].values():
        if "anyOf" not in parameter:
            limits = {name: parameter.pop(name) for name in _LIMITS & parameter.keys()}
            parameter["anyOf"] = [dict(sorted(limits.items())), {"type": "null"}]


class SamplesBody(SamplesQuery):
    """The parameters of a GET, as JSON. `latents` may take the place of seed, first, n, truncation, digit and class.

    A parameter that is null is not given. Beside latents, the others may have their defaults.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra=_say_that_null_is_allowed)

    latents: list[Latent] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_POSTED_LATENTS,
        fail_fast=True,
        description="The latents to draw, each a list of z_dim numbers, such as those of an earlier answer",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, body: object) -> object:
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if value is not None or name not in names_of(cls)}

    @field_validator("n", "seed", "first", "columns", "padding", "scale", "truncation", "digit", mode="before")
    @classmethod
    def _is_number(cls, value: object) -> object:
        """Refuse `"7"` and `true`: they are not numbers in JSON. (In a query every value is text, so "7" is valid.)"""
        if isinstance(value, bool | str):
            raise ValueError("Input should be a number")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.latents is not None:
            others = ("class_", "digit", "first", "n", "seed", "truncation")
            fields = type(self).model_fields
            both = [fields[name].alias or name for name in others if getattr(self, name) != fields[name].default]
            if both:
                raise ValueError(f"latents cannot be sent together with {', '.join(both)}; send one or the other")
        return self


class Sample(BaseModel):
    """One image, and the latent from which G drew it."""

    index: int = Field(
        description="Index of the image within its seed, among the posted latents, or along the path", examples=[0]
    )
    latent: list[float] = Field(
        description="The latent z, as exact float32 values. If they are posted, they give the identical image. The "
        "example has the first three",
        examples=[[1.1362472772598267, -0.5377773642539978, -0.20164360105991364]],
    )
    png: str = Field(description="The image, as a PNG in base64", examples=[examples.SAMPLE_PNG])


class SamplesAnswer(BaseModel):
    """Samples as JSON."""

    model: Reference
    model_sha256: Sha256
    seed: int | None = Field(description="The seed of the images; null for posted latents", examples=[7])
    first: int = Field(description="Index of the first image", examples=[0])
    prior: PriorName
    z_dim: ZDim
    width: Width
    height: Height
    channels: Channels
    samples: list[Sample] = Field(description="The samples. The example has the first")
