"""`/v1/models`: the models, and how each was trained."""

from pydantic import BaseModel, Field

from app.api.openapi import examples
from app.api.schemas.fields import Reference, Sha256
from models.model_folder.history import EpochRecord, TrainingEvent
from models.model_folder.metadata import Metadata


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
