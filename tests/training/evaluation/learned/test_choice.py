"""Which features a data set gets: both sides of each limit."""

from dataclasses import replace

import pytest

from tests.training.evaluation.learned.support import labelled_dataset
from training.data.dataset import Dataset
from training.errors import UsageError
from training.evaluation.learned import choice as module
from training.evaluation.learned.choice import FeatureChoice, choose_features, kind_of


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (module.MIN_IMAGES, module.MIN_IMAGES_OF_A_CLASS) == (1000, 20)
    monkeypatch.setattr(module, "MIN_IMAGES", 60)


def unlabelled() -> Dataset:
    return replace(labelled_dataset(), labels=None, held_out_labels=None, class_names=())


def test_enough_labelled_images_have_a_classifier():
    assert choose_features("auto", labelled_dataset(60)) == FeatureChoice("classifier")
    few = choose_features("auto", labelled_dataset(59))
    assert few.kind == "built-in"
    assert few.reason == "a classifier of 3 classes needs 60 training images, and there are 59"
    assert choose_features("auto", labelled_dataset(80, classes=4)).kind == "classifier"
    assert choose_features("auto", labelled_dataset(79, classes=4)) == FeatureChoice(
        "built-in", "a classifier of 4 classes needs 80 training images, and there are 79"
    )


def test_without_classes_there_is_no_classifier():
    for data in (unlabelled(), labelled_dataset(90, classes=1)):
        assert choose_features("auto", data) == FeatureChoice(
            "built-in", "the images have no classes that a classifier could learn"
        )
        with pytest.raises(UsageError, match=r"^--features classifier: d has [01] classes, and a classifier needs at"):
            choose_features("classifier", data)
        assert choose_features("self-supervised", data) == FeatureChoice("self-supervised")


def test_what_a_person_chooses_holds_for_few_images_too():
    assert choose_features("classifier", labelled_dataset(20)) == FeatureChoice("classifier")
    assert choose_features("wavelets", labelled_dataset(60)) == FeatureChoice("built-in")


def test_digits_keep_the_digit_classifier():
    digits = replace(labelled_dataset(60), digits=1)
    assert choose_features("auto", digits) == FeatureChoice("built-in")
    with pytest.raises(UsageError, match=r"^--features wavelets: d is compared in the digit classifier's features"):
        choose_features("wavelets", digits)


def test_the_figures_of_a_folder_say_their_kind():
    assert kind_of({"frechet": 1.0}) == "built-in"
    assert kind_of({"frechet": 1.0, "own_classifier_accuracy": 0.5}) == "classifier"
    assert kind_of({"self_supervised_accuracy": 0.5}) == "self-supervised"
