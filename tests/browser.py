"""Pages opened in a real Chromium, with their console errors, failed requests and accessibility problems."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Self, TypeAlias

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PATIENCE_S = 60
expect.set_options(timeout=1000 * PATIENCE_S)  # the default of 5 s is too short on a busy machine

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it, or name it in CHROMIUM")

Scheme: TypeAlias = Literal["light", "dark"]

LOOKS: list[tuple[int, Scheme]] = [(360, "light"), (360, "dark"), (1440, "light"), (1440, "dark")]
"""Widths in pixels and colour schemes in which every page is tested."""


@contextmanager
def launched() -> Iterator[Browser]:
    """Start Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """A page in its own browser context, and the faults it had. Use it in a `with` statement.

    Attributes:
        page: Playwright's page.
        faults: errors and warnings of its console, errors of its scripts, and requests that failed or left `origin`.
            Calls that the page itself gave up are none.
        pending: requests that are not answered yet.
    """

    def __init__(
        self, browser: Browser, origin: str, *, width: int = 1440, scheme: Scheme = "light", calm: bool = True
    ) -> None:
        self.faults: list[str] = []
        self.pending: set[Request] = set()
        self._origin = origin
        self._context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            reduced_motion="reduce" if calm else "no-preference",
            has_touch=width < 600,
        )
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE_S)
        self.page.on("console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._note_request)
        self.page.on("requestfinished", self._note_answer)
        self.page.on("requestfailed", self._note_failure)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def serious_findings(self) -> list[str]:
        """Return the serious and critical findings of axe-core, each with its rule and element."""
        violations = Axe().run(self.page).response["violations"]
        return [
            f"{violation['id']}: {node['html']} {node.get('failureSummary', '')}"
            for violation in violations
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

    def _note_request(self, request: Request) -> None:
        self.pending.add(request)
        if not request.url.startswith((self._origin, "blob:", "data:")):
            self.faults.append(f"left the origin: {request.url}")

    def _note_answer(self, request: Request) -> None:
        self.pending.discard(request)

    def _note_failure(self, request: Request) -> None:
        self.pending.discard(request)
        if request.url.endswith("/icon.svg") and request.failure == "net::ERR_ABORTED":
            return  # Chromium loads the icon when it is idle, so the next page may interrupt it
        if request.resource_type == "fetch" and request.failure == "net::ERR_ABORTED":
            return  # the page gave the call up: something else has been asked for meanwhile
        self.faults.append(f"failed: {request.url}")
