"""A real browser that looks at a console, and remembers what no page may do."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from databases import chromium

SCREENSHOTS: Final = Path(__file__).parents[1] / "build" / "screenshots"

Width = Literal["wide", "narrow"]
Scheme = Literal["light", "dark"]

_SIZES: Final = {"wide": (1360, 900), "narrow": (390, 844)}

PATIENCE: Final = timedelta(seconds=60)
"""The machine may be busy."""


@contextmanager
def running_browser() -> Generator[Browser]:
    """Chromium, without a window."""
    with sync_playwright() as playwright:
        # As root, chromium runs without its sandbox or not at all; it sees our own pages alone.
        browser = playwright.chromium.launch(
            executable_path=chromium.program(), args=["--no-sandbox"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One visitor's window; `mishaps` are errors in the console and requests that left this machine."""

    def __init__(
        self, browser: Browser, url: str, width: Width = "wide", scheme: Scheme = "light"
    ) -> None:
        across, down = _SIZES[width]
        # Without motion a chart is whole as soon as it is drawn.
        self.context: BrowserContext = browser.new_context(
            base_url=url,
            viewport={"width": across, "height": down},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(PATIENCE.total_seconds() * 1000)
        self.page: Page = self.context.new_page()
        self.mishaps: list[str] = []
        self.page.on("console", lambda told: self._heard(told.type, told.text))
        self.page.on("pageerror", lambda error: self.mishaps.append(str(error)))
        self.page.on("request", lambda asked: self._asked(url, asked.url))
        self._name = f"{width}-{scheme}"

    def open(self, path: str) -> Page:
        """The page, once its charts are drawn."""
        answer = self.page.goto(path)
        assert answer is not None
        assert answer.ok, (path, answer.status)
        self.page.wait_for_function(
            "[...document.querySelectorAll('figure[data-chart]')]"
            ".every(each => !each.querySelector('canvas') || each.dataset.drawn)"
        )
        return self.page

    def log_in(self, key: str) -> None:
        """As a person does."""
        self.page.goto("/login")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url("**/")

    def picture(self, name: str) -> None:
        """Keep how the page looks."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}-{self._name}.png", full_page=True)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    def _heard(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.mishaps.append(text)

    def _asked(self, url: str, asked: str) -> None:
        if not asked.startswith((url, "data:")):
            self.mishaps.append(f"a request left: {asked}")


def exact(cell: Locator) -> Decimal:
    """The exact value beside a number that is shown."""
    return Decimal(cell.locator("data").first.get_attribute("value") or "NaN")
