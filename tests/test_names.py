"""One name, one thing: no two classes of the packages have the same name."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("app", "models", "training", "viewer")


def classes(package: str) -> dict[str, list[str]]:
    """Where each class of a package is defined, by its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_no_two_classes_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for name, where in classes(package).items():
            places[name] += where
    assert len(places) > 100
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_the_client_shares_names_with_the_api_alone() -> None:
    """`gan_client` stands alone: its results and errors may have the names of the API's schemas, and no others."""
    client = classes("gan_client")
    assert not [name for name, where in client.items() if len(where) > 1]
    schemas = {name for name, where in classes("app").items() if all("schemas" in w or "problems" in w for w in where)}
    others = {name for package in PACKAGES for name in classes(package)} - schemas
    assert set(client) & others == set()
