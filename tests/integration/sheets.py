"""A report's page as a real browser shows it: once light, once dark, once on a phone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tests.integration.browser import Tab, chromium

DESK = (1280, 1600)
PHONE_WIDTHS = (390, 380)
PHONE_HEIGHT = 800


@dataclass(frozen=True)
class Seen:
    """What came of opening one page."""

    page: Path
    dom: str
    console: tuple[str, ...]
    """Errors and warnings."""
    requests: tuple[str, ...]
    light: npt.NDArray[np.uint8]
    """BGR, shape (1600, 1280, 3)."""
    dark: npt.NDArray[np.uint8]
    content_widths: dict[int, int]
    """By the phone's width, how wide the page is there, in pixels."""

    def assert_fit_for_readers(self) -> None:
        """Nothing on the console, no request but for the page, light or dark as one prefers,
        never wider than a phone."""
        assert self.console == ()
        assert {one for one in self.requests if not one.startswith("data:")} == {self.page.as_uri()}
        assert float(np.median(self.light)) > 230
        assert float(np.median(self.dark)) < 50
        for pixels in (self.light, self.dark):
            ink = np.abs(pixels.astype(int) - np.median(pixels)).max()
            assert ink > 150
        for width, content in self.content_widths.items():
            assert content <= width

    def assert_no_text_became_markup(self) -> None:
        """A recording may be called <script>."""
        assert "<script" not in self.dom
        assert self.dom.rstrip().endswith("</html>")


def see(page: Path, folder: Path) -> Seen:
    """Open a page in Chromium and look at it in all ways; skips where there is no Chromium."""
    return asyncio.run(_see(page, folder))


async def _see(page: Path, folder: Path) -> Seen:
    async with chromium(folder) as tab:
        await tab.look(width=DESK[0], height=DESK[1], dark=False)
        await tab.open(page.as_uri())
        dom = str(await tab.js("document.documentElement.outerHTML"))
        light = await _pixels(tab, folder / "light.png")
        await tab.look(width=DESK[0], height=DESK[1], dark=True)
        dark = await _pixels(tab, folder / "dark.png")
        widths = {}
        for width in PHONE_WIDTHS:
            await tab.look(width=width, height=PHONE_HEIGHT, dark=True)
            widths[width] = int(await tab.js("document.documentElement.scrollWidth"))
        return Seen(page, dom, tuple(tab.console), tuple(tab.requests), light, dark, widths)


async def _pixels(tab: Tab, path: Path) -> npt.NDArray[np.uint8]:
    pixels = cv2.imread(str(await tab.shoot(path)))
    assert pixels is not None
    assert pixels.shape[:2] == (DESK[1], DESK[0])
    return pixels.astype(np.uint8)
