"""Requests and answers, as the OpenAPI document shows them."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from app.formats import InterpolationFormat, SamplesFormat
from models.history import EpochRecord, TrainingEvent
from models.interpolation import Mode, path_length
from models.latents import INDEX_LIMIT, SEED_LIMIT
from models.metadata import Metadata

MAX_GRID_IMAGES = 4096
MAX_ARCHIVE_IMAGES = 100_000
MAX_POSTED_LATENTS = 4096
MAX_SCALE = 16
MAX_PADDING = 64
MAX_PATH_SEEDS = 16
MAX_STEPS = 256  # 16 seeds, 256 steps each: a path has no more images than a grid
MAX_ANIMATION_MS = 600_000  # a GIF's delay has 16 bits, 655,350 ms, and equal images share one

EXAMPLE_MODEL = "mnist-conv"

ModelName = Annotated[
    str | None,
    Field(max_length=100, description="`name` or `name@hash`; without one, the default", examples=[EXAMPLE_MODEL]),
]
Digit = Annotated[
    int | None,
    Field(
        ge=0,
        le=9,
        description="The digit to draw; conditional models only, below the `classes` that `/v1/models/{name}` tells",
    ),
]


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
        examples=[0.8],
    )
    digit: Digit = None
    format: SamplesFormat | None = Field(
        default=None, description="Without it the Accept header decides; else png", examples=["png"]
    )

    @model_validator(mode="after")
    def _ends_in_range(self) -> Self:
        if self.first + self.n > INDEX_LIMIT:
            raise ValueError(f"first + n must be at most 2**53, not {self.first} + {self.n}")
        return self


Latent = Annotated[list[FiniteFloat], Field(max_length=4096)]


class SamplesBody(SamplesQuery):
    """The same as JSON; or `latents` in place of seed, first, n, truncation and digit."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"n": 16, "seed": 7, "model": EXAMPLE_MODEL, "format": "png"}]}
    )

    latents: list[Latent] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_POSTED_LATENTS,
        description="Draw exactly these: lists of z_dim numbers, such as an earlier answer's",
    )

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
    latent: list[float] = Field(description="z, exact float32 values: posted back, they give the identical image")
    png: str = Field(description="The image as PNG, base64")


class SamplesAnswer(BaseModel):
    """Samples as JSON."""

    model: str = Field(description="name@hash", examples=[f"{EXAMPLE_MODEL}@0123456789ab"])
    model_sha256: str
    seed: int | None = Field(description="null for posted latents", examples=[7])
    first: int
    prior: str = Field(examples=["normal"])
    z_dim: int = Field(examples=[100])
    width: int = Field(examples=[28])
    height: int = Field(examples=[28])
    channels: int = Field(examples=[1])
    samples: list[Sample]


class InterpolationQuery(BaseModel):
    """Which path to draw, and how to send it."""

    model_config = ConfigDict(extra="forbid")

    seeds: str = Field(
        description=f"2 to {MAX_PATH_SEEDS} seeds, 0 ≤ seed < 2⁵³, with commas between: the path goes through image 0 "
        "of each. One may come more than once",
        examples=["1,2,3"],
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
        examples=["png"],
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

    model: str = Field(description="name@hash", examples=[f"{EXAMPLE_MODEL}@0123456789ab"])
    model_sha256: str
    seeds: list[int] = Field(description="Those of the path's corners", examples=[[1, 2, 3]])
    steps: int = Field(description="Images from one seed to the next", examples=[16])
    mode: Mode
    prior: str = Field(examples=["normal"])
    z_dim: int = Field(examples=[100])
    width: int = Field(examples=[28])
    height: int = Field(examples=[28])
    channels: int = Field(examples=[1])
    samples: list[Sample]


class Percentiles(BaseModel):
    """Where a logit lies, in per cent."""

    real: float = Field(description="Share of held-out real images that D took for less real", examples=[41.3])
    generated: float = Field(description="Share of G's images that D took for less real", examples=[72.8])


class ScoreResult(BaseModel):
    """D's opinion of one image."""

    filename: str = Field(examples=["seven.png"])
    logit: float = Field(description="D's output before the sigmoid; above 0 means rather real", examples=[0.42])
    probability: float = Field(description="σ(logit), D(x)", examples=[0.603])
    percentile: Percentiles
    input: str = Field(description="What D saw, as PNG, base64")
    explanation: str | None = Field(
        description="Where D looks: the gradient of the logit by the pixels of `input`, as an RGBA PNG of its size, "
        "base64, to lay over it. Orange where a brighter pixel raises the logit, blue where it lowers it; alpha is "
        "the gradient's magnitude, 255 at the image's largest. null without `explain=true`"
    )


class ScoreAnswer(BaseModel):
    """D's opinions, in the order of the files."""

    model: str = Field(examples=[f"{EXAMPLE_MODEL}@0123456789ab"])
    results: list[ScoreResult]


class Score(BaseModel):
    """D's opinion of a picture that the answer holds."""

    logit: float = Field(description="D's output before the sigmoid; above 0 means rather real", examples=[0.42])
    probability: float = Field(description="σ(logit), D(x)", examples=[0.603])
    percentile: Percentiles


class Distance(BaseModel):
    """How far two images are from each other, over all pixels, in grey levels (0–255)."""

    mean_absolute: float = Field(examples=[4.8])
    root_mean_square: float = Field(examples=[15.2])


class ProjectionScores(BaseModel):
    """D's opinion of the upload, and of the image nearest to it."""

    input: Score
    projection: Score


class ProjectionAnswer(BaseModel):
    """The latent nearest to an upload."""

    model: str = Field(description="name@hash", examples=[f"{EXAMPLE_MODEL}@0123456789ab"])
    model_sha256: str
    latent: list[float] = Field(description="z, exact float32 values: posted to /v1/samples, they give `png` again")
    png: str = Field(description="G's image of the latent as PNG, base64")
    input: str = Field(description="The upload in the shape of G's images, as PNG, base64")
    distance: Distance = Field(description="Between the two")
    score: ProjectionScores
    steps: int = Field(description="From the start of the search to the latent", examples=[17])
    restarts: int = Field(description="Latents that the search started from", examples=[10])


class ModelSummary(BaseModel):
    """A model in the list."""

    name: str = Field(examples=[EXAMPLE_MODEL])
    ready: bool = Field(
        description="False for a folder that cannot be used; `error` says why. With both, an earlier version is served"
    )
    model: str | None = Field(default=None, description="name@hash", examples=[f"{EXAMPLE_MODEL}@0123456789ab"])
    sha256: str | None = None
    architecture: str | None = Field(default=None, examples=["mlp"])
    dataset: str | None = Field(default=None, examples=["mnist"])
    recipe: str | None = Field(default=None, examples=["mlp"])
    images_seen: int | None = None
    evaluation: dict[str, float] | None = None
    error: str | None = None


class ModelsAnswer(BaseModel):
    """All model folders that were found."""

    default: str | None = Field(description="Name of the model of requests that name none", examples=[EXAMPLE_MODEL])
    models: list[ModelSummary]


class TimelinePicture(BaseModel):
    """One picture of the timeline."""

    epoch: int = Field(description="0 is the untrained G", examples=[0])
    url: str = Field(examples=["/v1/models/mnist-conv/timeline/0.png"])


class ModelAnswer(BaseModel):
    """Everything a model says of itself."""

    name: str
    model: str = Field(description="name@hash")
    sha256: str
    metadata: Metadata
    card: str = Field(description="The model card, Markdown")


class HistoryAnswer(BaseModel):
    """How a model was trained."""

    model: str
    epochs: list[EpochRecord]
    events: list[TrainingEvent] = Field(description="What went wrong, and what was done about it")


class TimelineAnswer(BaseModel):
    """The same latents, drawn as training went on."""

    model: str
    pictures: list[TimelinePicture]


class ReloadAnswer(BaseModel):
    """What reading the models folder again has changed."""

    default: str | None = Field(description="Name of the model of requests that name none", examples=[EXAMPLE_MODEL])
    added: list[str] = Field(description="Models that are new, as name@hash")
    changed: list[str] = Field(description="Models of which there is another version now")
    removed: list[str] = Field(description="Models whose folders are gone")
    kept: list[str] = Field(description="Models that are what they were", examples=[[f"{EXAMPLE_MODEL}@0123456789ab"]])
    broken: dict[str, str] = Field(
        description="Folders that cannot be used, and why; a version that was loaded before stays in its place"
    )


class Health(BaseModel):
    """The process is alive."""

    status: str = Field(examples=["alive"])


class Readiness(BaseModel):
    """Whether requests can be answered, and what stands in the way."""

    ready: bool
    engine: str = Field(description="answering, or what is wrong", examples=["answering"])
    models: list[str] = Field(description="Usable models", examples=[[f"{EXAMPLE_MODEL}@0123456789ab"]])
    broken: dict[str, str] = Field(description="Model folders that cannot be used, and why")
