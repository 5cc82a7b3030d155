"""Commands do not import each other: what two of them need is in a room of helpers."""

import ast

import pytest

from harness.repository import ROOT

COMMANDS = {
    f"{package}.{file.stem}": file
    for package in ("benchmarks", "reliability")
    for file in (ROOT / package).glob("*.py")
    if file.stem != "__init__"
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_module_outside_a_room_is_a_command_that_imports_no_other(name: str) -> None:
    text = COMMANDS[name].read_text(encoding="utf-8")
    imported = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert '\nif __name__ == "__main__":\n' in text
    assert imported & COMMANDS.keys() == set()
