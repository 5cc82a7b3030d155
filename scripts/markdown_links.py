"""The links of Markdown documents, and whether each one leads somewhere.

Only links within the repository are checked: to files, to folders, and to headings of Markdown documents. No other site
is asked.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_LINK = re.compile(r"\]\(\s*(?P<target>[^()\s]+)(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"#{1,6}\s+(.+?)\s*#*")
_INLINE_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_FENCES = ("```", "~~~")


@dataclass(frozen=True)
class Link:
    """A link of a document.

    Attributes:
        target: what stands in the brackets, such as "../README.md#start".
        line: the number of its line.
        start: where the target begins in the document's text.
    """

    target: str
    line: int
    start: int

    @property
    def is_internal(self) -> bool:
        """Whether the link stays in the repository."""
        return not _ELSEWHERE.match(self.target)

    @property
    def path(self) -> str:
        """The target without its anchor; empty for an anchor of the same document."""
        return self.target.partition("#")[0]

    @property
    def anchor(self) -> str:
        """The part of the target behind "#"; empty without one."""
        return self.target.partition("#")[2]


def links_of(text: str) -> list[Link]:
    """The links and images of a Markdown document, without what stands in its code."""
    prose = _without_code(text)
    return [
        Link(found["target"], prose.count("\n", 0, found.start()) + 1, found.start("target"))
        for found in _LINK.finditer(prose)
    ]


def anchors_of(text: str) -> set[str]:
    """The anchors of a Markdown document: one for each heading, as `slug` makes it."""
    code_lines = {number for number, _, is_code in _lines(text) if is_code}
    return {
        slug(found[1])
        for number, line in enumerate(text.split("\n"))
        if number not in code_lines and (found := _HEADING.fullmatch(line))
    }


def slug(heading: str) -> str:
    """The anchor of a heading, by the rule that GitHub and pymdownx follow: "What D *sees*" has "what-d-sees"."""
    text = _INLINE_LINK.sub(r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")


def broken_links(documents: Iterable[Path], *, root: Path) -> list[str]:
    """The links that lead nowhere, each as "document:line: target: reason".

    Args:
        documents: Markdown files below `root`.
        root: the repository; a link must not leave it.
    """
    return [
        f"{document.relative_to(root)}:{link.line}: {link.target}: {reason}"
        for document in documents
        for link in links_of(_read(document))
        if link.is_internal and (reason := _fault(link, document, root))
    ]


def resolved(link: Link, document: Path) -> Path:
    """The file or folder that an internal link leads to."""
    return (document.parent / link.path).resolve() if link.path else document


def _fault(link: Link, document: Path, root: Path) -> str:
    target = resolved(link, document)
    if not target.is_relative_to(root):
        return "it leaves the repository"
    if not target.exists():
        return "there is no such file"
    if link.anchor and target.suffix != ".md":
        return "only Markdown documents have anchors"
    if link.anchor and link.anchor not in _anchors(target):
        return "there is no such heading"
    return ""


def _without_code(text: str) -> str:
    """The text with each character of code replaced by a space, so that all others keep their places."""
    lines = [" " * len(line) if is_code else _CODE_SPAN.sub(_blank, line) for _, line, is_code in _lines(text)]
    return "\n".join(lines)


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """Each line with its number, from 0, and whether it is code: in a fence, or indented behind an empty line."""
    fence, before, was_code = "", "", False
    for number, line in enumerate(text.split("\n")):
        if fence:
            is_code = True
            fence = "" if line.startswith(fence) else fence
        elif line.startswith(_FENCES):
            is_code = True
            fence = line[:3]
        else:
            is_code = was_code = line.startswith("    ") and (was_code or not before.strip())
        yield number, line, is_code
        before = line


@cache
def _read(document: Path) -> str:
    return document.read_text(encoding="utf-8")


@cache
def _anchors(document: Path) -> frozenset[str]:
    return frozenset(anchors_of(_read(document)))
