"""Where a run stands: what a saved state holds beside the tensors, as JSON."""

from pydantic import BaseModel, ConfigDict, Field

from models.model_folder.history import EpochRecord, TrainingEvent
from training.gan.game import DiscriminatorStep


class EpochSums(BaseModel):
    """Sums over the steps of the current epoch; divided by the number of steps they are the epoch's means."""

    model_config = ConfigDict(extra="forbid")

    generator_steps: int = 0
    discriminator_steps: int = 0
    loss_d: float = 0.0
    loss_g: float = 0.0
    d_real: float = 0.0
    d_fake: float = 0.0
    value: float = 0.0

    def add_discriminator_step(self, seen: DiscriminatorStep) -> None:
        """Add the figures of one D step."""
        self.discriminator_steps += 1
        self.loss_d += seen.loss
        self.d_real += seen.d_real
        self.d_fake += seen.d_fake
        self.value += seen.value

    def add_generator_step(self, loss: float) -> None:
        """Add the loss of one G step."""
        self.generator_steps += 1
        self.loss_g += loss


class Progress(BaseModel):
    """Where a run stands. The loop changes it in place."""

    model_config = ConfigDict(extra="forbid")

    epoch: int = Field(default=1, ge=1, description="The epoch that is being played, from 1")
    position: int = Field(default=0, ge=0, description="G's steps done in this epoch")
    step: int = Field(default=0, ge=0, description="G's steps done in all")
    images: int = Field(default=0, ge=0, description="Real images seen in all: one batch for each of G's steps")
    seconds: float = Field(default=0.0, ge=0, description="Training time, s")
    finished: bool = False
    sums: EpochSums = Field(default_factory=EpochSums)
    records: list[EpochRecord] = Field(default_factory=list, description="The epochs that are done")
    events: list[TrainingEvent] = Field(default_factory=list, description="The alarms so far")
    rollbacks: int = Field(default=0, ge=0, description="How often the run went back to its best state")

    def end_epoch(self, *, last: int, metrics: dict[str, float]) -> None:
        """Turn the sums into the epoch's record, and begin the next epoch; after epoch `last` the run is finished.

        Args:
            last: the recipe's number of epochs.
            metrics: the figures of G's samples after this epoch; empty where they were not measured.
        """
        sums = self.sums
        self.records.append(
            EpochRecord(
                epoch=self.epoch,
                images=self.images,
                seconds=round(self.seconds, 3),
                loss_d=sums.loss_d / sums.discriminator_steps,
                loss_g=sums.loss_g / sums.generator_steps,
                d_real=sums.d_real / sums.discriminator_steps,
                d_fake=sums.d_fake / sums.discriminator_steps,
                value=sums.value / sums.discriminator_steps,
                metrics=metrics,
            )
        )
        self.finished = self.finished or self.epoch >= last
        self.epoch += 1
        self.position = 0
        self.sums = EpochSums()
