"""The history of a training run: one record for each epoch, and the events of the alarms."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, FiniteFloat


class EpochRecord(BaseModel):
    """Averages over one epoch, and the progress at its end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int = Field(ge=1, description="Number of the epoch, from 1")
    images: int = Field(ge=0, description="Real images shown to D since the start")
    seconds: float = Field(ge=0, description="Training time since the start, in seconds", allow_inf_nan=False)
    loss_d: FiniteFloat = Field(description="D's loss without penalties, as the recipe defines it")
    loss_g: FiniteFloat = Field(description="G's loss, as the recipe defines it")
    d_real: FiniteFloat = Field(description="Mean D(x) on real images, of the D that plays the game")
    d_fake: FiniteFloat = Field(description="Mean D(G(z)), of the D that plays the game")
    value: FiniteFloat = Field(description="V(G, D), equation 1 of the 2014 paper, of the D that plays the game")
    metrics: dict[str, FiniteFloat] = Field(default_factory=dict, description="Further figures, by name")


class TrainingEvent(BaseModel):
    """A problem in a training run, and what was done about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int = Field(ge=0, description="The epoch in which it was noticed")
    kind: Literal["collapse", "discriminator-won", "discriminator-lost", "not-finite"]
    detail: str = Field(max_length=1000, description="What was seen")
    action: str = Field(max_length=1000, description="What was done")


class History(BaseModel):
    """The epochs of a training run, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Validation stops at the first wrong record: the errors of a million records would take gigabytes.
    epochs: Annotated[tuple[EpochRecord, ...], FailFast()] = Field(default=(), max_length=100_000)
    events: Annotated[tuple[TrainingEvent, ...], FailFast()] = Field(default=(), max_length=10_000)
