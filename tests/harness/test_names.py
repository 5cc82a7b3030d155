"""A name means one thing in all three packages."""

import ast
from collections import Counter
from pathlib import Path

from harness.repository import ROOT

PACKAGES = ("harness", "benchmarks", "reliability")


def classes(package: Path) -> list[str]:
    """The names of all classes in a package, without a leading underscore."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in package.rglob("*.py")]
    return [node.name.lstrip("_") for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def test_no_two_classes_have_one_name() -> None:
    names = Counter(name for package in PACKAGES for name in classes(ROOT / package))
    assert len(names) > 30
    assert [name for name, times in names.items() if times > 1] == []
