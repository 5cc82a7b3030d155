"""The names of a model's classes, and the class that a request names.

A class has a number, from 0, and a name. The names are those of the training data: of the folders or labels. Where the
data give none, a class's name is its number as text.
"""

import difflib
from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import Field

from models.errors import ClassError

MAX_CLASS_NAME = 200
"""The most characters of a class's name."""

MAX_NAMED = 12
"""The most classes that an error message names."""

ClassName: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_CLASS_NAME)]


def numbers_as_names(classes: int) -> tuple[str, ...]:
    """Return the names of classes without names: "0", "1", …"""
    return tuple(map(str, range(classes)))


def shortened(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of at most `MAX_CLASS_NAME` characters, all different: too long ones are cut, and get their number.

    Args:
        names: the names, all different and not empty.
    """
    short = []
    for number, name in enumerate(names):
        end = f"… ({number})"
        short.append(name if len(name) <= MAX_CLASS_NAME else name[: MAX_CLASS_NAME - len(end)] + end)
    return tuple(short)


def find_class(asked: str | int, names: Sequence[str]) -> int:
    """Return the number of the class that a request names, 0 ≤ number < len(names).

    A text is a name first, and a number only if no class has this name: among the classes "10" and "20", "10" is the
    first one.

    Args:
        asked: a name, or a number as an integer or in decimal digits.
        names: the model's names, in the order of their numbers; empty for a model without classes.

    Raises:
        ClassError: the model does not have this class, or has no classes.
    """
    if isinstance(asked, str) and asked in names:
        return names.index(asked)
    is_number = isinstance(asked, int) or (asked.isascii() and asked.isdigit() and len(asked) <= MAX_NAMED)
    if is_number and 0 <= int(asked) < len(names):
        return int(asked)
    raise ClassError(asked, classes=len(names), known=describe_classes(names, near=str(asked)))


def describe_classes(names: Sequence[str], *, near: str = "") -> str:
    """Return at most `MAX_NAMED` names as a text for a message. Those most similar to `near` come first."""
    if tuple(names) == numbers_as_names(len(names)):
        return f"0 to {len(names) - 1}"
    similar = difflib.get_close_matches(near, names, n=3) if near else []
    listed = [*similar, *(name for name in names if name not in similar)][:MAX_NAMED]
    more = f" and {len(names) - len(listed):,} more" if len(names) > len(listed) else ""
    shown = ", ".join(name if name.isprintable() else ascii(name) for name in listed)
    return f"{shown}{more} (or their numbers, 0 to {len(names) - 1})"
