"""`/v1/models`: the models, and how each of them was trained."""

from typing import Literal

from pydantic import BaseModel, Field

from app.api.openapi import examples
from app.api.schemas.fields import Reference, Sha256
from models.model_folder.game_rules import Optimum
from models.model_folder.history import EpochRecord, TrainingEvent
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.metadata import Metadata


class ModelSummary(BaseModel):
    """A model in the list."""

    name: str = Field(description="Name of the model and of its folder", examples=[examples.MODEL])
    ready: bool = Field(
        description="Whether the model can be used. If it can and there is an `error`, an earlier version is served",
        examples=[True],
    )
    model: str | None = Field(
        default=None, description="The model and its version, as `name@hash`", examples=[examples.REFERENCE]
    )
    sha256: str | None = Field(
        default=None, description="SHA-256 of the model's file `model.safetensors`", examples=[examples.SHA256]
    )
    class_names: tuple[str, ...] | None = Field(
        default=None,
        description="The name of each class, by its number; empty if the model is not conditional",
        examples=[tuple("0123456789")],
    )
    architecture: str | None = Field(default=None, description="Kind of the networks", examples=["conv"])
    dataset: str | None = Field(default=None, description="What the model was trained on", examples=["mnist"])
    recipe: str | None = Field(default=None, description="Name of the training recipe", examples=["conv"])
    subject: Literal["digits", "pictures"] | None = Field(
        default=None,
        description="What the model draws: `digits` of MNIST, or pictures of other data. `preprocess=auto` looks for "
        "a digit for the former only",
        examples=["digits"],
    )
    game: str | None = Field(
        default=None,
        description="Which game G and D played, in one sentence; null if the model's file does not say it",
        examples=[examples.GAME],
    )
    arithmetic: Literal["int8", "float32"] | None = Field(
        default=None,
        description="How G computes on this machine: in whole numbers of 8 bits, which is several times as fast, or in "
        "floating point",
        examples=["int8"],
    )
    images_seen: int | None = Field(
        default=None, description="Number of real images that D saw in training", examples=[1918976]
    )
    evaluation: dict[str, float] | None = Field(
        default=None,
        description="Figures from `python -m training evaluate`. The example has some of them",
        examples=[examples.EVALUATION],
    )
    error: str | None = Field(default=None, description="Why the folder cannot be used; else null", examples=[None])


class ModelsAnswer(BaseModel):
    """All model folders that were found."""

    default: str | None = Field(
        description="Name of the model that answers requests which name none; null if no model is usable",
        examples=[examples.MODEL],
    )
    models: list[ModelSummary] = Field(description="The models. The example has the first")


class TimelinePicture(BaseModel):
    """One picture of the timeline."""

    epoch: int = Field(
        description="Number of the epoch after which the picture was drawn; 0 is the untrained G", examples=[0]
    )
    url: str = Field(description="URL of the picture", examples=[f"/v1/models/{examples.REFERENCE}/timeline/0.png"])


class NamedMetadata(Metadata):
    """The metadata of a model, and its name."""

    name: str = Field(description="Name of the model and of its folder", examples=[examples.MODEL])

    @classmethod
    def of(cls, model: LoadedModel) -> "NamedMetadata":
        """Return the metadata of a loaded model, whose file does not hold its name."""
        return cls.model_construct(**dict(model.metadata), name=model.name)


class ModelAnswer(BaseModel):
    """Everything that a model folder says about its model."""

    name: str = Field(description="Name of the model and of its folder", examples=[examples.MODEL])
    model: Reference
    sha256: Sha256
    metadata: NamedMetadata = Field(
        description="The model's metadata. The example has only some figures of `evaluation`, and only the middle and "
        "the two ends of each list of quantiles",
        examples=[examples.METADATA],
    )
    card: str = Field(
        description="The model card, in Markdown. The example has its title only", examples=["# mnist-conv\n"]
    )


class HistoryAnswer(BaseModel):
    """How a model was trained."""

    model: Reference
    game: str | None = Field(
        description="Which game G and D played, in one sentence; null if it is not recorded", examples=[examples.GAME]
    )
    optimum: Optimum | None = Field(
        description="Values that theory gives for the curves of this game; null if it gives none, or `game` is null",
        examples=[examples.OPTIMUM],
    )
    epochs: list[EpochRecord] = Field(
        description="A record of each epoch. The example has the second", examples=[[examples.EPOCH]]
    )
    events: list[TrainingEvent] = Field(description="What went wrong, and what was done about it", examples=[[]])


class TimelineAnswer(BaseModel):
    """Pictures of the same latents, drawn during training."""

    model: Reference
    pictures: list[TimelinePicture] = Field(description="The pictures, by epoch. The example has the first")
