"""Every link of README and docs to a file or a heading of the repository leads there."""

from pathlib import Path

import pytest

from scripts.build_site import CONFIG, documents, place_of
from scripts.built_site import faults_of
from scripts.markdown_links import Link, anchors_of, broken_links, links_of, slug
from tests.docs.documents import ROOT
from tests.docs.documents import documents as own_documents

TEXT = """# A *title*, with `code`

[one](b.md#there) and ![two](images/c.png "a picture"), `[not](this)`, [elsewhere](https://example.com).

    [nor](this) is a link

```text
# no heading
[nor](this)
```

## [A link](x.md) & what follows

- [`three`](#a-title-with-code)
"""


def test_every_link_leads_somewhere() -> None:
    assert set(own_documents()) <= set(documents())
    assert broken_links(documents(), root=ROOT) == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = CONFIG.read_text(encoding="utf-8")
    assert [str(place_of(page)) for page in documents() if f'"{place_of(page)}"' not in navigation] == []


def test_links_and_anchors() -> None:
    assert links_of(TEXT) == [
        Link("b.md#there", 3, TEXT.index("b.md")),
        Link("images/c.png", 3, TEXT.index("images/")),
        Link("https://example.com", 3, TEXT.index("https")),
        Link("x.md", 12, TEXT.index("x.md")),
        Link("#a-title-with-code", 14, TEXT.index("#a-title")),
    ]
    assert anchors_of(TEXT) == {"a-title-with-code", "a-link--what-follows"}


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("What a score of D says", "what-a-score-of-d-says"),
        ("The paper's own game", "the-papers-own-game"),
        ("`GET /v1/samples`", "get-v1samples"),
        ("Fréchet distance", "fréchet-distance"),
        ("The way of `seed=7`", "the-way-of-seed7"),
    ],
)
def test_slugs(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("other.md", ""),
        ("other.md#two-words", ""),
        ("#one", ""),
        ("folder", ""),
        ("absent.md", "there is no such file"),
        ("other.md#three", "there is no such heading"),
        ("#two", "there is no such heading"),
        ("../../outside.md", "it leaves the repository"),
        ("folder/data.json#part", "only Markdown documents have anchors"),
    ],
)
def test_broken_links(tmp_path: Path, link: str, reason: str) -> None:
    docs = tmp_path / "repository" / "docs"
    (docs / "folder").mkdir(parents=True)
    (docs / "folder" / "data.json").write_text("{}")
    (docs / "other.md").write_text("# Two words\n")
    (tmp_path / "outside.md").write_text("# Outside\n")
    (docs / "page.md").write_text(f"# One\n\n[a link]({link})\n")
    found = broken_links([docs / "page.md"], root=docs.parent)
    assert found == ([f"docs/page.md:3: {link}: {reason}"] if reason else [])


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ('<a href="other.html#there">x</a><a href="https://example.com">y</a><img src="a.png">', []),
        ('<a href="absent.html">x</a>', ["absent.html leads nowhere"]),
        ('<a href="../outside.html">x</a>', ["../outside.html leads nowhere"]),
        ('<a href="other.html#absent">x</a>', ["other.html#absent has no such anchor"]),
        ('<a href="#absent">x</a>', ["#absent has no such anchor"]),
        ('<script src="https://example.com/a.js"></script>', ["it loads https://example.com/a.js"]),
        ('<link rel="stylesheet" href="//example.com/a.css">', ["it loads //example.com/a.css"]),
        ('<link rel="canonical" href="https://example.com/">', []),
        ("<style>p { background: url('https://example.com/a.png') }</style>", ["it loads https://example.com/a.png"]),
    ],
)
def test_faults_of_a_site(tmp_path: Path, body: str, faults: list[str]) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "outside.html").write_text("")
    (site / "a.png").write_bytes(b"")
    (site / "other.html").write_text('<h2 id="there">There</h2>')
    (site / "index.html").write_text(body)
    assert faults_of(site) == [f"index.html: {fault}" for fault in faults]


def test_a_style_sheet_that_loads_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("")
    (tmp_path / "a.css").write_text('@import "https://example.com/b.css"; p { background: url(c.png) }')
    assert faults_of(tmp_path) == ["a.css: it loads https://example.com/b.css"]
