"""Every command of README and docs is known: it is run, or a table says why it is not."""

import argparse
import re
import shlex
import sys
from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from tests.docs.commands import CHAINS, NOT_COMMANDS, SKIPPED, TAKEN
from tests.docs.documents import NOT_FOR_A_SHELL, ROOT, Block, Command, blocks, blocks_of, commands_of, documents

DOCUMENT = """Text, `code`.

    make a    # the first
    # a comment

    make 'b  c'    # the second

Text
    that goes on.

```
make c
    d
```

```text
no command
```
"""


def test_blocks_and_their_commands() -> None:
    found = list(blocks_of("x.md", DOCUMENT))
    assert found == [
        Block("x.md", 3, ("make a    # the first", "# a comment", "", "make 'b  c'    # the second")),
        Block("x.md", 12, ("make c", "    d")),
        Block("x.md", 17, ("no command",), "text"),
    ]
    assert commands_of(found[0]) == [Command("make a", "x.md:3"), Command("make 'b  c'", "x.md:6")]


def shell_commands() -> list[Command]:
    return [
        command
        for block in blocks()
        if block.language not in NOT_FOR_A_SHELL and block.lines[0] not in NOT_COMMANDS
        for command in commands_of(block)
    ]


def listed() -> list[str]:
    """All commands of the tables; one may stand in a table once."""
    return [*(step.documented for chain in CHAINS.values() for step in chain), *TAKEN, *SKIPPED]


def test_every_command_is_in_a_table() -> None:
    known = set(listed())
    unknown = [
        f"{command.where}: {command.text}"
        for command in shell_commands()
        if command.text not in known and not command.text.startswith("curl ")
    ]
    assert not unknown, "say in tests/docs/commands.py how each is run, or why it is not"


def test_every_command_of_the_tables_is_in_a_document() -> None:
    assert [text for text, times in Counter(listed()).items() if times > 1] == []
    assert set(listed()) - {command.text for command in shell_commands()} == set()
    assert set(NOT_COMMANDS) - {block.lines[0] for block in blocks()} == set()


def options_of(line: str) -> set[str]:
    return {word.partition("=")[0] for word in shlex.split(line) if word.startswith("-")}


def test_what_is_run_is_the_documented_command() -> None:
    """The same program, with every option that is documented; only their values and further ones may differ."""
    for step in (step for chain in CHAINS.values() for step in chain):
        documented, run = shlex.split(step.documented), shlex.split(step.line)
        assert documented[:3] == run[:3]
        assert options_of(step.documented) <= options_of(step.line)


def spans() -> set[str]:
    """The code within sentences of all documents."""
    return {span for path in documents() for span in re.findall(r"`([^`\n]+)`", path.read_text(encoding="utf-8"))}


def test_modules_and_targets_that_sentences_name_are_there() -> None:
    modules = {found[1] for span in spans() if (found := re.match(r"python -m ([\w.]+)", span))}
    targets = {found[1] for span in spans() if (found := re.match(r"make ([a-z-]+)", span))}
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"app", "training"} <= modules
    assert {module for module in modules if find_spec(module) is None} == set()
    assert "test" in targets
    assert targets - made == set()


class TakenError(Exception):
    """The arguments have been taken."""


@pytest.mark.parametrize("command", TAKEN)
def test_the_arguments_are_taken(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = argparse.ArgumentParser.parse_args

    def parse(parser: argparse.ArgumentParser, *arguments: Any) -> None:
        real(parser, *arguments)
        raise TakenError

    python, dash_m, module, *arguments = shlex.split(command)
    assert (python, dash_m) == ("python", "-m")
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(TakenError):
        import_module(module).main()
