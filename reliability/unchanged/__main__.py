"""`python -m reliability.unchanged REV [--only answers|training|bulk]`: exit with 1 if a byte differs."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.report import describe_machine, table
from harness.repository import ROOT, UnknownRevisionError, checked_out
from reliability.unchanged import answers, bulk, trainings
from reliability.unchanged.comparison import Difference, Outcome, compare
from reliability.unchanged.trees import Tree

Outcomes = Mapping[str, Outcome]
"""Outcomes by the row of the table."""

Part = Callable[[Tree, Tree], Outcomes]
"""A function that does its work in a tree and returns the outcomes. It also gets the tree before."""

MAX_SHOWN = 40
"""Largest number of differences that are printed in full."""


def main() -> int:
    """Do the same work in both trees, compare, print."""
    parts: dict[str, Part] = {"answers": answers.collect, "training": trainings.collect, "bulk": bulk.collect}
    parser = argparse.ArgumentParser(description="Compare what two versions of the code do, byte by byte.")
    parser.add_argument("revision", metavar="REV", help="the git revision that this tree is compared with")
    parser.add_argument("--only", choices=parts, help="compare only this part (default: all)")
    options = parser.parse_args()
    chosen = {name: part for name, part in parts.items() if options.only in (None, name)}
    with tempfile.TemporaryDirectory(prefix="gan-unchanged-") as work, checked_out(options.revision) as old:
        trees = [_tree("before", old, Path(work)), _tree("after", ROOT, Path(work))]
        rows, differences = compared(chosen, trees)
    print(f"{describe_machine()}; compared with {options.revision}\n")
    print(table(["part", "cases", "differences"], rows))
    print("".join(f"\n{one}" for one in differences[:MAX_SHOWN]))
    if len(differences) > MAX_SHOWN:
        print(f"… and {len(differences) - MAX_SHOWN:,} more")
    return 1 if differences else 0


def compared(parts: Mapping[str, Part], trees: list[Tree]) -> tuple[list[list[str]], list[Difference]]:
    """Do the work of all parts in both trees at the same time. Return the rows of the table and all differences."""
    rows: list[list[str]] = []
    differences: list[Difference] = []
    cases = 0
    for name, part in parts.items():
        started, busy_s = time.monotonic(), _processor_s()
        with ThreadPoolExecutor() as pool:
            before, after = pool.map(part, trees, [trees[0]] * len(trees))
        for row in {**before, **after}:
            one, other = before.get(row, {}), after.get(row, {})
            found = [Difference(f"{name}: {row}: {case}", detail) for case, detail in compare(one, other)]
            rows.append([f"{name}: {row}", str(len(one)), str(len(found))])
            differences += found
            cases += len(one)
        took = f"{time.monotonic() - started:.0f} s, {_processor_s() - busy_s:.0f} s of processor time"
        print(f"{name}: {took}", file=sys.stderr, flush=True)
    return [*rows, ["all", str(cases), str(len(differences))]], differences


def _processor_s() -> float:
    """Return the processor time, in seconds, of this process and of all its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _tree(name: str, path: Path, work: Path) -> Tree:
    tree = Tree(name, path, work / name)
    tree.scratch.mkdir()
    tree.check_imports()
    return tree


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UnknownRevisionError as error:
        sys.exit(f"error: {error}")
