"""Whether a built site is whole: each link and anchor leads somewhere, and nothing is loaded from another site."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADING = frozenset({"audio", "embed", "iframe", "img", "script", "source", "video"})
"""Elements whose attribute `src` a browser loads."""

_LOADING_RELATIONS = frozenset({"stylesheet", "icon", "preload", "modulepreload", "preconnect", "prefetch", "manifest"})
_CSS_LOAD = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])\s*((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


@dataclass
class Page:
    """What a page links to, and what it has.

    Attributes:
        links: the targets of its links.
        loads: what a browser loads to show it.
        anchors: the ids and names of its elements.
        styles: the text of its style elements.
    """

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    styles: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.page.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.page.links.append(given["href"])
        elif tag == "link" and _LOADING_RELATIONS & set(given.get("rel", "").lower().split()):
            self.page.loads.append(given.get("href", ""))
        elif tag in _LOADING and given.get("src"):
            self.page.loads.append(given["src"])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.page.styles += data

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  (HTMLParser's own signature)
        self._in_style = False


def read_page(text: str) -> Page:
    """Read a page of HTML."""
    reader = _Reader()
    reader.feed(text)
    return reader.page


def faults_of(site: Path) -> list[str]:
    """What is wrong with the site in a folder, each as "file: what"; empty if nothing is."""
    pages = {path: read_page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    faults = ["index.html: there is no such page"] if site / "index.html" not in pages else []
    for path, page in pages.items():
        faults += [f"{path.relative_to(site)}: {fault}" for fault in _faults_of_page(path, page, pages, site)]
    for path in sorted(site.rglob("*.css")):
        faults += [f"{path.relative_to(site)}: it loads {found}" for found in _loads_of_css(path.read_text("utf-8"))]
    return faults


def _faults_of_page(path: Path, page: Page, pages: dict[Path, Page], site: Path) -> Iterator[str]:
    for target in [*page.loads, *_loads_of_css(page.styles)]:
        if _is_elsewhere(target):
            yield f"it loads {target}"
    for target in [*page.links, *page.loads]:
        if _is_elsewhere(target) or urlsplit(target).scheme:
            continue
        parts = urlsplit(target)
        there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not there.is_relative_to(site.resolve()) or not there.is_file():
            yield f"{target} leads nowhere"
        elif parts.fragment and there in pages and unquote(parts.fragment) not in pages[there].anchors:
            yield f"{target} has no such anchor"


def _loads_of_css(text: str) -> list[str]:
    return _CSS_LOAD.findall(text)


def _is_elsewhere(target: str) -> bool:
    return target.startswith("//") or urlsplit(target).scheme in ("http", "https")
