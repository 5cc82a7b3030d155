"""Requests and answers, as the OpenAPI document shows them."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from app.api.content_negotiation import InterpolationFormat, SamplesFormat
from app.api.openapi import examples
from models.interpolation import Mode, path_length
from models.latents import INDEX_LIMIT, SEED_LIMIT
from models.model_folder.history import EpochRecord, TrainingEvent
from models.model_folder.metadata import Metadata

MAX_GRID_IMAGES = 4096
MAX_ARCHIVE_IMAGES = 100_000
MAX_POSTED_LATENTS = 4096
MAX_SCALE = 16
MAX_PADDING = 64
MAX_PATH_SEEDS = 16
MAX_STEPS = 256  # 16 seeds, 256 steps each: a path has no more images than a grid
MAX_ANIMATION_MS = 600_000  # a GIF's delay has 16 bits, 655,350 ms, and equal images share one

ModelName = Annotated[
    str | None,
    Field(
        max_length=100, description="`name` or `name@hash`; without one, the default", examples=[None, examples.MODEL]
    ),
]
Digit = Annotated[
    int | None,
    Field(
        ge=0,
        le=9,
        description="The digit to draw; conditional models only, below the `classes` that `/v1/models/{name}` tells",
        examples=[None, 3],
    ),
]
Sha256 = Annotated[str, Field(description="Of the model's weights", examples=[examples.SHA256])]
Reference = Annotated[str, Field(description="name@hash", examples=[examples.REFERENCE])]


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


# The first error ends it: each takes a hundred times the bytes of a wrong number.
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
        """A query has nothing but texts; in JSON neither `"7"` nor `true` is a number."""
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


class Percentiles(BaseModel):
    """Where a logit lies, in per cent."""

    real: float = Field(description="Share of held-out real images that D took for less real", examples=[19.92])
    generated: float = Field(description="Share of G's images that D took for less real", examples=[20.07])


class ScoreResult(BaseModel):
    """D's opinion of one image."""

    filename: str = Field(examples=["seven.png"])
    logit: float = Field(description="D's output before the sigmoid; above 0 means rather real", examples=[-2.547])
    probability: float = Field(description="σ(logit), D(x)", examples=[0.07263])
    percentile: Percentiles
    input: str = Field(description="What D saw, as PNG, base64", examples=[examples.UPLOAD_PNG])
    explanation: str | None = Field(
        description="Where D looks: the gradient of the logit by the pixels of `input`, as an RGBA PNG of its size, "
        "base64, to lay over it. Orange where a brighter pixel raises the logit, blue where it lowers it; alpha is "
        "the gradient's magnitude, 255 at the image's largest. null without `explain=true`, as in the example",
        examples=[None],
    )


class ScoreAnswer(BaseModel):
    """D's opinions, in the order of the files."""

    model: Reference
    results: list[ScoreResult]


class Score(BaseModel):
    """D's opinion of a picture that the answer holds."""

    logit: float = Field(description="D's output before the sigmoid; above 0 means rather real", examples=[-2.547])
    probability: float = Field(description="σ(logit), D(x)", examples=[0.07263])
    percentile: Percentiles


class Distance(BaseModel):
    """How far two images are from each other, over all pixels, in grey levels (0–255)."""

    mean_absolute: float = Field(examples=[2.966])
    root_mean_square: float = Field(examples=[9.973])


class ProjectionScores(BaseModel):
    """D's opinion of the upload, and of the image nearest to it."""

    input: Score
    projection: Score = Field(
        examples=[{"logit": -4.11, "probability": 0.01615, "percentile": {"real": 7.475, "generated": 8.547}}]
    )


class ProjectionAnswer(BaseModel):
    """The latent nearest to an upload."""

    model: Reference
    model_sha256: Sha256
    latent: list[float] = Field(
        description="z, exact float32 values: posted to /v1/samples, they give `png` again. The example has the first "
        "three",
        examples=[[-0.2667545676231384, 1.3304002285003662, -0.2796686887741089]],
    )
    png: str = Field(description="G's image of the latent as PNG, base64", examples=[examples.PROJECTION_PNG])
    input: str = Field(
        description="The upload in the shape of G's images, as PNG, base64", examples=[examples.UPLOAD_PNG]
    )
    distance: Distance = Field(description="Between the two")
    score: ProjectionScores
    steps: int = Field(description="From the start of the search to the latent", examples=[17])
    restarts: int = Field(description="Latents that the search started from", examples=[10])


class ModelSummary(BaseModel):
    """A model in the list."""

    name: str = Field(examples=[examples.MODEL])
    ready: bool = Field(
        description="False for a folder that cannot be used; `error` says why. With both, an earlier version is served",
        examples=[True],
    )
    model: str | None = Field(default=None, description="name@hash", examples=[examples.REFERENCE])
    sha256: str | None = Field(default=None, description="Of the model's weights", examples=[examples.SHA256])
    architecture: str | None = Field(default=None, examples=["conv"])
    dataset: str | None = Field(default=None, examples=["mnist"])
    recipe: str | None = Field(default=None, examples=["conv"])
    images_seen: int | None = Field(default=None, examples=[1918976])
    evaluation: dict[str, float] | None = Field(
        default=None,
        description="Figures of `training evaluate`; the example has some of them",
        examples=[examples.EVALUATION],
    )
    error: str | None = Field(default=None, examples=[None])


class ModelsAnswer(BaseModel):
    """All model folders that were found."""

    default: str | None = Field(description="Name of the model of requests that name none", examples=[examples.MODEL])
    models: list[ModelSummary] = Field(description="The example has the first")


class TimelinePicture(BaseModel):
    """One picture of the timeline."""

    epoch: int = Field(description="0 is the untrained G", examples=[0])
    url: str = Field(examples=[f"/v1/models/{examples.REFERENCE}/timeline/0.png"])


class ModelAnswer(BaseModel):
    """Everything a model says of itself."""

    name: str = Field(examples=[examples.MODEL])
    model: Reference
    sha256: Sha256
    metadata: Metadata = Field(
        description="The example has some figures of `evaluation`, and of each list of quantiles both ends and the "
        "middle",
        examples=[examples.METADATA],
    )
    card: str = Field(description="The model card, Markdown; the example has its title", examples=["# mnist-conv\n"])


class HistoryAnswer(BaseModel):
    """How a model was trained."""

    model: Reference
    epochs: list[EpochRecord] = Field(description="The example has the second", examples=[[examples.EPOCH]])
    events: list[TrainingEvent] = Field(description="What went wrong, and what was done about it", examples=[[]])


class TimelineAnswer(BaseModel):
    """The same latents, drawn as training went on."""

    model: Reference
    pictures: list[TimelinePicture] = Field(description="The example has the first")


class ReloadAnswer(BaseModel):
    """What reading the models folder again has changed."""

    default: str | None = Field(description="Name of the model of requests that name none")
    added: list[str] = Field(description="Models that are new, as name@hash")
    changed: list[str] = Field(description="Models of which there is another version now")
    removed: list[str] = Field(description="Models whose folders are gone")
    kept: list[str] = Field(description="Models that are what they were")
    broken: dict[str, str] = Field(
        description="Folders that cannot be used, and why; a version that was loaded before stays in its place"
    )


class Health(BaseModel):
    """The process is alive."""

    status: str = Field(examples=["alive"])


class Readiness(BaseModel):
    """Whether requests can be answered, and what stands in the way."""

    ready: bool = Field(examples=[True])
    engine: str = Field(description="answering, or what is wrong", examples=["answering"])
    models: list[str] = Field(description="Usable models; the example has one", examples=[[examples.REFERENCE]])
    broken: dict[str, str] = Field(description="Model folders that cannot be used, and why", examples=[{}])
