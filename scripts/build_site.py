"""`python -m scripts.build_site [--to DIR]`: build the documentation as a site that works from files.

1. The documents are copied to a folder of pages. A link to another file of the repository leads to a copy of that file.
2. Zensical builds the site from the pages, by `zensical.toml`. A warning is an error.
3. The script that Zensical would load from another site is replaced by `file_worker.js`, which does the same.
4. The built site is checked (`scripts.built_site`): its links, its anchors, and that it loads nothing from elsewhere.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath

from scripts.built_site import faults_of
from scripts.markdown_links import broken_links, links_of, resolved

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "zensical.toml"
FILE_WORKER = Path(__file__).with_name("file_worker.js")
_LOADED_WORKER = re.compile(r'<script src="https://unpkg\.com/iframe-worker/shim"[^>]*></script>')
SHOWN_AS_THEY_ARE = frozenset({".css", ".html", ".jpg", ".js", ".json", ".png", ".svg", ".txt"})
"""Suffixes of files that a browser shows; a copy of any other file gets ".txt" at its end."""


class SiteError(Exception):
    """The site cannot be built, or something is wrong with it."""


def documents() -> list[Path]:
    """The Markdown files that become pages: those at the top of the repository, and all of docs."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def place_of(path: Path) -> PurePosixPath:
    """Where a file or a folder of the repository is in the folder of pages."""
    own = PurePosixPath(path.relative_to(ROOT).as_posix())
    if own.parts[0] == "docs":
        return own.relative_to("docs")
    if own.suffix == ".md" and len(own.parts) == 1:
        return PurePosixPath(own.name.lower())
    copies = "source" / own
    if path.is_dir():
        return copies / "index.txt"
    return copies if own.suffix in SHOWN_AS_THEY_ARE else copies.with_name(copies.name + ".txt")


def write_pages(folder: Path) -> None:
    """Fill a folder with the pages, the pictures of docs, and copies of the files that the pages link to.

    Raises:
        SiteError: a link leads nowhere.
    """
    pages = documents()
    if broken := broken_links(pages, root=ROOT):
        raise SiteError("\n".join(["links that lead nowhere:", *broken]))
    for path in (ROOT / "docs").rglob("*"):
        if path.is_file() and path.suffix != ".md":
            _copy(path, folder)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for link in reversed(links_of(text)):
            if link.is_internal and link.path:
                target = resolved(link, page)
                if target not in pages:
                    _copy(target, folder)
                there = _relative(place_of(target), place_of(page).parent) + (f"#{link.anchor}" if link.anchor else "")
                text = text[: link.start] + there + text[link.start + len(link.target) :]
        place = folder / place_of(page)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def build(to: Path) -> None:
    """Build the site, and copy it to the folder `to`, which is replaced.

    Raises:
        SiteError: a link leads nowhere, Zensical warns or fails, or the site is not as it should be.
    """
    configured = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["project"]
    pages, built = ROOT / configured["docs_dir"], ROOT / configured["site_dir"]
    shutil.rmtree(pages, ignore_errors=True)
    write_pages(pages)
    shutil.rmtree(built, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "--config-file", str(CONFIG)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    if done.returncode or "warning" in said.lower():
        raise SiteError(f"Zensical ended with exit code {done.returncode}:\n{said}")
    _make_local(built)
    if faults := faults_of(built):
        raise SiteError("\n".join(["the built site is not as it should be:", *faults]))
    if to.resolve() != built.resolve():
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(built, to)


def main() -> int:
    """Build the site; returns the exit code: 0, or 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m scripts.build_site", description="Build the documentation site.")
    parser.add_argument("--to", metavar="DIR", type=Path, help="a folder to copy the site to; it is replaced")
    to = parser.parse_args().to or ROOT / "site"
    try:
        build(to)
    except SiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"The site is in {to}: open {to / 'index.html'} in a browser")
    return 0


def _make_local(site: Path) -> None:
    """Make the site load its own worker for files, and remove the page for errors of a server."""
    shutil.copyfile(FILE_WORKER, site / FILE_WORKER.name)
    (site / "404.html").unlink(missing_ok=True)
    for path in site.rglob("*.html"):
        own = os.path.relpath(site / FILE_WORKER.name, path.parent)
        text = path.read_text(encoding="utf-8")
        path.write_text(_LOADED_WORKER.sub(f'<script src="{own}"></script>', text), encoding="utf-8")


def _copy(path: Path, folder: Path) -> None:
    place = folder / place_of(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        files = sorted(file.relative_to(ROOT).as_posix() for file in path.rglob("*") if file.is_file())
        place.write_text("\n".join(files) + "\n", encoding="utf-8")
    else:
        shutil.copyfile(path, place)


def _relative(target: PurePosixPath, start: PurePosixPath) -> str:
    return PurePosixPath(os.path.relpath(target, start)).as_posix()


if __name__ == "__main__":
    sys.exit(main())
