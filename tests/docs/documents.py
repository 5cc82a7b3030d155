"""The code of README and docs: blocks that are indented or fenced, and the command lines in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
INDENT = "    "
FENCE = "```"

PYTHON = ("python", "pycon")
"""The languages of blocks that `test_examples.py` runs."""

NOT_FOR_A_SHELL = (*PYTHON, "text")
"""The languages of blocks without commands."""


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        document: the document's path in the repository.
        line: the number of the block's first line.
        lines: its lines, without the indent.
        language: the word behind the fence, such as "python"; empty without one.
    """

    document: str
    line: int
    lines: tuple[str, ...]
    language: str = ""


@dataclass(frozen=True)
class Command:
    """A line for a shell.

    Attributes:
        text: the line without the comment behind it.
        where: the document and the line's number.
    """

    text: str
    where: str


def documents() -> list[Path]:
    """README and all of docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(document: str, text: str) -> Iterator[Block]:
    """The blocks of a document; an indented one begins behind an empty line and may contain empty lines."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        begin = at
        if lines[at].startswith(FENCE):
            at = next((k for k in range(at + 1, len(lines)) if lines[k].startswith(FENCE)), len(lines))
            language = lines[begin].removeprefix(FENCE).strip()
            yield Block(document, begin + 2, tuple(lines[begin + 1 : at]), language)
        elif lines[at].startswith(INDENT) and (at == 0 or not lines[at - 1].strip()):
            while at < len(lines) and (lines[at].startswith(INDENT) or not lines[at].strip()):
                at += 1
            block = [line.removeprefix(INDENT) for line in lines[begin:at]]
            while not block[-1].strip():
                block.pop()
            yield Block(document, begin + 1, tuple(block))
        at += 1


def blocks() -> list[Block]:
    """The blocks of all documents."""
    return [
        block
        for path in documents()
        for block in blocks_of(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


def examples() -> list[Block]:
    """The blocks that are Python: programs, and sessions with `>>>`."""
    return [block for block in blocks() if block.language in PYTHON]


def commands_of(block: Block) -> list[Command]:
    """The lines of a block of shell commands. A comment is a line that begins with "#", or follows two spaces."""
    found = []
    for number, line in enumerate(block.lines, block.line):
        text = re.split(r"\s\s+# ", line)[0].strip()
        if text and not text.startswith("#"):
            found.append(Command(text, f"{block.document}:{number}"))
    return found
