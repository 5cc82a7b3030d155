"""The progress of a run: the means of an epoch, and when a run is finished."""

import pytest
from pydantic import ValidationError

from training.gan.game import DiscriminatorStep
from training.run.progress import EpochSums, Progress


def played() -> Progress:
    """Return the progress after two steps of D and one of G, in epoch 2."""
    progress = Progress(epoch=2, position=7, images=90, seconds=1.23456)
    progress.sums.add_discriminator_step(DiscriminatorStep(loss=1.0, d_real=0.5, d_fake=0.25, value=-2.0))
    progress.sums.add_discriminator_step(DiscriminatorStep(loss=2.0, d_real=1.0, d_fake=0.75, value=-4.0))
    progress.sums.add_generator_step(5.0)
    return progress


def test_an_epochs_record_holds_means_and_the_next_epoch_begins_from_nothing():
    progress = played()
    progress.end_epoch(last=3, metrics={"frechet": 4.5})
    (record,) = progress.records
    assert (record.epoch, record.images, record.seconds) == (2, 90, 1.235)
    assert (record.loss_d, record.loss_g, record.d_real, record.d_fake, record.value) == (1.5, 5.0, 0.75, 0.5, -3.0)
    assert record.metrics == {"frechet": 4.5}
    assert (progress.epoch, progress.position, progress.finished) == (3, 0, False)
    assert progress.sums == EpochSums()


@pytest.mark.parametrize(
    ("last", "minutes_are_over", "finished"), [(2, False, True), (3, False, False), (3, True, True)]
)
def test_a_run_is_over_after_its_last_epoch_or_its_minutes(last: int, minutes_are_over: bool, finished: bool):
    progress = played()
    progress.finished = minutes_are_over
    progress.end_epoch(last=last, metrics={})
    assert progress.finished is finished


def test_it_reads_what_it_wrote_and_nothing_else():
    progress = played()
    assert Progress.model_validate_json(progress.model_dump_json()) == progress
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Progress.model_validate({"epoch": 1, "epochs": 2})
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Progress.model_validate({"epoch": 0})


def test_the_numbers_of_processes_are_kept_in_their_order():
    progress = Progress()
    for processes in (2, 2, 1, 2):
        progress.continue_with(processes, began_with=2)
        progress.step += 1
    assert progress.processes == [2, 1, 2]


def test_a_state_of_an_earlier_release_began_with_the_number_of_its_configuration():
    earlier = Progress(step=5)
    earlier.continue_with(1, began_with=2)
    assert earlier.processes == [2, 1]
    begun_again = Progress()  # no state was saved with the first number
    begun_again.continue_with(1, began_with=2)
    assert begun_again.processes == [1]
