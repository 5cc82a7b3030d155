"""How a person's own data are read: what becomes of pictures that are not square, and where labels and caches are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Fit: TypeAlias = Literal["crop", "pad"]
"""How a picture becomes square: its middle square, or the whole picture with bars beside it."""

RULE = 3
"""The version of the rules by which data are read and split. Version 1 split them without regard to classes; version 2
did not look for files of labels."""

READABLE_RULES = frozenset({2, 3})
"""The rules that this release can still follow, so that it can resume the runs that began with them."""


@dataclass(frozen=True)
class Reading:
    """The choices that a person makes about data of their own. They have no effect on embedded data sets.

    Attributes:
        fit: how pictures become square; None: `crop` if they are resized, and otherwise they must be square already.
        labels: the file of the labels; None: one is looked for by its name.
        name: the data set's name; None: it is made of the path.
        rule: the version of the rules (`RULE`).
        cache: the folder for caches of decoded pictures; None: pictures are read into memory.
    """

    fit: Fit | None = None
    labels: Path | None = None
    name: str | None = None
    rule: int = RULE
    cache: Path | None = None
