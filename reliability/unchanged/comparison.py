"""Find where two outcomes differ."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

Outcome: TypeAlias = Mapping[str, bytes]
"""The bytes that came of each case, by the name of the case."""

SHOWN_BEFORE, SHOWN_BEHIND = 40, 80
"""Number of bytes that are shown around the first byte that differs."""


class Difference(NamedTuple):
    """A case whose two outcomes differ."""

    case: str
    detail: str

    def __str__(self) -> str:
        return f"{self.case}\n    {self.detail}"


def compare(before: Outcome, after: Outcome) -> list[Difference]:
    """Return all cases that differ, in the order of `before`, and those that only one outcome has."""
    names = list(before) + [name for name in after if name not in before]
    details = {name: _detail(before.get(name), after.get(name)) for name in names}
    return [Difference(name, detail) for name, detail in details.items() if detail]


def _detail(before: bytes | None, after: bytes | None) -> str:
    """Return how two outcomes of a case differ; an empty text if they do not."""
    if before == after:
        return ""
    if before is None:
        return "only after"
    if after is None:
        return "only before"
    place = next((k for k, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), None)
    place = min(len(before), len(after)) if place is None else place
    shown = slice(max(0, place - SHOWN_BEFORE), place + SHOWN_BEHIND)
    return (
        f"byte {place:,} of {len(before):,} before and {len(after):,} after:\n"
        f"    before {before[shown]!r}\n    after  {after[shown]!r}"
    )
