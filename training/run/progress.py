"""The progress of a run, which a saved state holds as JSON beside the tensors."""

from pydantic import BaseModel, ConfigDict, Field

from models.model_folder.history import EpochRecord, TrainingEvent
from training.gan.game import DiscriminatorStep


class EpochSums(BaseModel):
    """Sums over the steps of the current epoch. Divided by the number of steps, they give the means of the epoch."""

    model_config = ConfigDict(extra="forbid")

    generator_steps: int = 0
    discriminator_steps: int = 0
    loss_d: float = 0.0
    loss_g: float = 0.0
    d_real: float = 0.0
    d_fake: float = 0.0
    value: float = 0.0

    def add_discriminator_step(self, seen: DiscriminatorStep) -> None:
        """Add the figures of one step of D."""
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
    """How far a run has come, and its records so far. The loop changes it in place."""

    model_config = ConfigDict(extra="forbid")

    epoch: int = Field(default=1, ge=1, description="The current epoch, from 1")
    position: int = Field(default=0, ge=0, description="Steps of G that are done in this epoch")
    step: int = Field(default=0, ge=0, description="Steps of G that are done in the whole run")
    images: int = Field(
        default=0, ge=0, description="Real images seen in the whole run, counted as one batch per step of G"
    )
    seconds: float = Field(default=0.0, ge=0, description="Training time in seconds")
    finished: bool = False
    sums: EpochSums = Field(default_factory=EpochSums)
    records: list[EpochRecord] = Field(default_factory=list, description="Records of the epochs that are done")
    events: list[TrainingEvent] = Field(default_factory=list, description="The alarms so far")
    rollbacks: int = Field(default=0, ge=0, description="How often the run went back to its best state")
    processes: list[int] = Field(
        default_factory=list,
        description="The numbers of processes that trained this state, one after the other; empty in states of earlier "
        "releases",
    )
    went_back_to: int = Field(default=0, ge=0, description="The epoch to which it went back last; 0: it never did")

    def continue_with(self, processes: int, *, began_with: int) -> None:
        """Note the number of processes that train from here on.

        Args:
            processes: the number.
            began_with: the number that began the run; a state of an earlier release does not hold it.
        """
        if not self.processes and self.step:
            self.processes = [began_with]
        if self.processes[-1:] != [processes]:
            self.processes.append(processes)

    def end_epoch(self, *, last: int, metrics: dict[str, float]) -> None:
        """Turn the sums into the epoch's record, and begin the next epoch. After epoch `last` the run is finished.

        Args:
            last: number of epochs of the whole run.
            metrics: figures of G's samples after this epoch; empty if they were not measured.
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
