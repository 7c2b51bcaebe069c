"""The hub: what each open page has yet to be told, bounded however slow the page is. Pure.

Three kinds of messages, by what may become of them while a page is slow:
- a picture gives way to the camera's next one (counted);
- a patch, the newest HTML of one part of the page, replaces the patch before it: what the page
  shows in the end is always what holds;
- news (an event took a step) is never dropped: a page that cannot take in even MOST_NEWS of them
  is cut off (counted), and gets the whole state when it connects again.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MOST_PAGES = 64
MOST_NEWS = 100


@dataclass(frozen=True, slots=True)
class HubFigures:
    """How the open pages fare; all but the first count since the start."""

    pages: int
    pictures_dropped: int
    pages_cut: int
    pages_refused: int


class HubFull(Exception):
    """As many pages are open as there may be."""


class Page:
    """One open page: what it wants to know, and what waits for it."""

    def __init__(
        self, keys: frozenset[str], cameras: frozenset[str], wake: Callable[[], None]
    ) -> None:
        self.keys = keys
        """The parts it shows."""
        self.cameras = cameras
        """The cameras whose pictures it shows."""
        self.cut = False
        """It was too slow for the news: it is to connect again."""
        self.pictures_dropped = 0
        self._wake = wake
        self._patches: dict[str, bytes] = {}
        self._pictures: dict[str, bytes] = {}
        self._news: deque[bytes] = deque()

    def take(self) -> bytes:
        """Return all that waits, the most important first; empty if nothing does."""
        waiting = b"".join((*self._news, *self._patches.values(), *self._pictures.values()))
        self._news.clear()
        self._patches.clear()
        self._pictures.clear()
        return waiting

    def put_patch(self, key: str, message: bytes) -> None:
        """Have a part of the page replaced."""
        self._patches[key] = message
        self._wake()

    def put_picture(self, camera: str, message: bytes) -> None:
        """Have a camera's picture replaced."""
        self.pictures_dropped += camera in self._pictures
        self._pictures[camera] = message
        self._wake()

    def put_news(self, message: bytes) -> None:
        """Have something told; cut the page off if too much waits already."""
        if len(self._news) >= MOST_NEWS:
            self.cut = True
        else:
            self._news.append(message)
        self._wake()


class Hub:
    """All open pages."""

    def __init__(self, *, most_pages: int = MOST_PAGES) -> None:
        self._most_pages = most_pages
        self._pages: set[Page] = set()
        self._shown: dict[str, str] = {}
        """The newest HTML of each part that somebody shows."""
        self._pictures_dropped = 0
        self._cut = 0
        self._refused = 0

    def join(self, keys: Iterable[str], cameras: Iterable[str], wake: Callable[[], None]) -> Page:
        """Open a page; `wake` is called when something waits for it. Raises HubFull."""
        if len(self._pages) >= self._most_pages:
            self._refused += 1
            raise HubFull
        page = Page(frozenset(keys), frozenset(cameras), wake)
        self._pages.add(page)
        return page

    def leave(self, page: Page) -> None:
        """Close a page; idempotent."""
        if page in self._pages:
            self._pages.remove(page)
            self._pictures_dropped += page.pictures_dropped
            self._cut += page.cut
            wanted = self.keys
            self._shown = {key: html for key, html in self._shown.items() if key in wanted}

    @property
    def keys(self) -> frozenset[str]:
        """The parts that any page shows."""
        return frozenset().union(*(page.keys for page in self._pages))

    @property
    def cameras(self) -> frozenset[str]:
        """The cameras whose pictures any page shows."""
        return frozenset().union(*(page.cameras for page in self._pages))

    @property
    def figures(self) -> HubFigures:
        """Count what happened."""
        return HubFigures(
            pages=len(self._pages),
            pictures_dropped=self._pictures_dropped
            + sum(page.pictures_dropped for page in self._pages),
            pages_cut=self._cut + sum(page.cut for page in self._pages),
            pages_refused=self._refused,
        )

    def patch(self, key: str, html: str, *, newcomer: Page | None = None) -> None:
        """Tell every page that shows this part what it looks like now, if that is new.

        A `newcomer` is told in any case.
        """
        changed = self._shown.get(key) != html
        self._shown[key] = html
        to = [page for page in self._pages if key in page.keys] if changed else []
        if newcomer is not None and newcomer not in to:
            to.append(newcomer)
        if to:
            message = sse("patch", {"key": key, "html": html})
            for page in to:
                page.put_patch(key, message)

    def picture(self, camera: str, message: bytes) -> None:
        """Show a camera's picture to every page that wants it."""
        for page in self._pages:
            if camera in page.cameras:
                page.put_picture(camera, message)

    def news(self, message: bytes) -> None:
        """Tell every page."""
        for page in self._pages:
            page.put_news(message)


def sse(event: str, value: object) -> bytes:
    """Return one server-sent event with JSON as its data.

    Source: HTML Living Standard, section 9.2 (Server-sent events). JSON in ASCII holds no line
    break, so it is one `data` line.
    """
    data = json.dumps(value, separators=(",", ":"))
    return f"event: {event}\ndata: {data}\n\n".encode("ascii")
