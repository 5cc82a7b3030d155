"""A class is found by its name or its number, and a name counts before a number."""

import pytest

from models.class_names import MAX_CLASS_NAME, describe_classes, find_class, numbers_as_names, shortened
from models.errors import ClassError

PETS = ("cat", "dog", "horse")


@pytest.mark.parametrize(
    ("asked", "names", "label"),
    [
        ("cat", PETS, 0),
        ("horse", PETS, 2),
        ("2", PETS, 2),
        (2, PETS, 2),
        ("002", PETS, 2),
        ("10", ("10", "20", "2"), 0),
        ("2", ("10", "20", "2"), 2),
        (2, ("10", "20", "2"), 2),
        ("1", ("10", "20", "2"), 1),
        ("9", numbers_as_names(10), 9),
        (999, numbers_as_names(1000), 999),
        ("Käfer, rot", ("Käfer, rot", "x"), 0),
    ],
)
def test_found(asked: str | int, names: tuple[str, ...], label: int) -> None:
    assert find_class(asked, names) == label


@pytest.mark.parametrize("asked", ["Cat", "cat ", "", "3", 3, -1, "-1", "1.0", "٢", "²", "9" * 5000])
def test_not_found(asked: str | int) -> None:
    with pytest.raises(ClassError, match="cat, dog, horse") as refused:
        find_class(asked, PETS)
    assert (refused.value.label, refused.value.classes) == (asked, 3)
    assert len(str(refused.value)) < 300


def test_a_model_without_classes() -> None:
    with pytest.raises(ClassError, match="the model has no classes, so it cannot draw class 'cat'"):
        find_class("cat", ())


def test_a_message_names_similar_classes_first_and_not_all_of_many() -> None:
    names = (*(f"breed {number}" for number in range(200)), "Siamese")
    with pytest.raises(ClassError) as refused:
        find_class("Siamise", names)
    assert "the class must be Siamese, " in str(refused.value)
    assert "and 189 more (or their numbers, 0 to 200)" in str(refused.value)
    assert describe_classes(("a\nb", "c")) == "'a\\nb', c (or their numbers, 0 to 1)"
    assert describe_classes(numbers_as_names(12)) == "0 to 11"


def test_long_names_are_cut_and_stay_different() -> None:
    longest = "x" * MAX_CLASS_NAME
    names = shortened((longest, longest + "a", longest + "b", "y"))
    assert names[0] == longest
    assert names[3] == "y"
    assert len(set(names)) == 4
    assert max(map(len, names)) == MAX_CLASS_NAME
