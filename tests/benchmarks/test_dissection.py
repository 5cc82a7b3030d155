"""The functions that the dissection leaves out: they are found by name, so a renamed one must be told at once."""

import sys

import pytest

from benchmarks import dissection
from benchmarks.dissection import PARTS, unknown_names


@pytest.mark.parametrize("name", PARTS.values(), ids=PARTS.keys())
def test_every_part_names_a_function_that_exists(name: str) -> None:
    assert unknown_names([name]) == []


def test_names_that_do_not_exist_are_found() -> None:
    gone = ["no_such_package.function", "models.no_such_module.function", "models.latents.no_such_function"]
    assert unknown_names([gone[0], "models.latents.draw_words", *gone[1:]]) == gone


def test_the_command_ends_with_the_names_that_do_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dissection, "PARTS", {"a part": "models.latents.no_such_function"})
    monkeypatch.setattr(sys, "argv", ["dissection"])
    with pytest.raises(SystemExit, match=r"^error: PARTS in .* exist: models.latents.no_such_function$"):
        dissection.main()
