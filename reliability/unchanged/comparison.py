"""Where two outcomes differ."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

Outcome: TypeAlias = Mapping[str, bytes]
"""What came of each case, by the name of the case."""

SHOWN_BEFORE, SHOWN_BEHIND = 40, 80
"""Bytes that are shown around the first byte that differs."""


class Difference(NamedTuple):
    """A case whose outcomes are not the same bytes."""

    case: str
    detail: str

    def __str__(self) -> str:
        return f"{self.case}\n    {self.detail}"


def compare(before: Outcome, after: Outcome) -> list[Difference]:
    """All cases that differ, those included that only one outcome has; in the order of `before`."""
    names = list(before) + [name for name in after if name not in before]
    details = {name: _detail(before.get(name), after.get(name)) for name in names}
    return [Difference(name, detail) for name, detail in details.items() if detail]


def _detail(before: bytes | None, after: bytes | None) -> str:
    """How two outcomes of a case differ; empty where they do not."""
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
