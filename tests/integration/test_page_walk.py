"""The page as a person on shift uses it: a real daemon, a real broker, a real browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.integration.browser import Tab, chromium
from tests.integration.mosquitto import Subscriber, free_port, mosquitto, subscriber
from tests.integration.processes import Program, daemon, file_camera, write_settings
from tests.integration.subscriber import said, steps_on

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SAMPLES = Path(__file__).parents[2] / "samples"
TOKEN = "a-token-for-this-test-and-no-other"
PHONE = (390, 844)


@dataclass
class Shift:
    """Everything that runs."""

    tab: Tab
    program: Program
    heard: Subscriber
    url: str
    folder: Path

    def assert_quiet_and_at_home(self) -> None:
        """No error on the console, and not one request to anybody but the service."""
        assert self.tab.console == []
        assert self.tab.hosts == {self.url.removeprefix("http://")}

    async def log_in(self) -> None:
        await self.tab.open(f"{self.url}/login")
        await self.tab.js(f"document.getElementById('token').value = {json.dumps(TOKEN)}")
        await self.tab.click("form.card button")
        await self.tab.until("location.pathname === '/' && document.readyState === 'complete'")


@asynccontextmanager
async def shift(folder: Path, cameras: dict[str, Path]) -> AsyncIterator[Shift]:
    """Watch recordings as live cameras, with a page that can be changed with TOKEN."""
    port = free_port()
    (folder / "web.token").write_text(TOKEN)
    (folder / "web.token").chmod(0o600)
    async with mosquitto(folder) as broker, subscriber(broker.port) as heard:
        settings = write_settings(
            folder,
            broker_port=broker.port,
            cameras=[file_camera(name, video) for name, video in cameras.items()],
            sections={
                "engine": {"threshold": 0.5},
                "clips": {"fps": 4.0, "seconds": 5.0, "stride_seconds": 2.5, "pixels": 63_504},
                "events": {"open_after": 2, "open_within": 3, "close_after_seconds": 5.0},
                "evidence": {"pre_seconds": 3.0, "post_seconds": 2.0},
                "web": {"port": port, "token_file": "web.token"},
            },
        )
        async with daemon(settings) as program, chromium(folder) as tab:
            yield Shift(tab, program, heard, f"http://127.0.0.1:{port}", folder)


async def test_a_shift_at_the_page(tmp_path: Path) -> None:
    """Pictures move; an event comes by itself, is watched, judged, explained; a setting changed."""
    cameras = {
        "walkway": SAMPLES / "walkway.mp4",
        "lawn": SAMPLES / "walkway_incident.mp4",
        "drive": SAMPLES / "drive_impact.mp4",
    }
    async with shift(tmp_path, cameras) as s:
        tab = s.tab
        await tab.look(width=1280, height=900, dark=False)
        await s.log_in()

        # The wall shows live pictures
        picture = "document.querySelector('[data-picture=\"walkway\"]').src"
        await tab.until(f"{picture}.startsWith('data:image/jpeg')")
        first = await tab.js(picture)
        await tab.until(f"{picture} !== {json.dumps(first)}")
        await tab.until(
            "[...document.querySelectorAll('[data-picture]')].every(one => one.naturalWidth > 100)"
        )
        await tab.until("document.querySelector('.summary.good')?.innerText.includes('All 3')")

        # An event appears without a reload
        await tab.js("window.notReloaded = true")
        link = "document.querySelector('.tile .now a')?.getAttribute('href')"
        await tab.until(f"window.eventPath = {link}", seconds=60)  # it may end any moment
        event_path = await tab.js("window.eventPath")
        await tab.until(f"document.querySelector('.recent a[href={json.dumps(event_path)}]')")
        assert await tab.js("window.notReloaded") is True
        await tab.shoot(tmp_path / "wall-event.png")

        # Its video plays
        await tab.open(s.url + event_path)
        await tab.until("document.querySelector('video')?.readyState >= 2", seconds=60)
        await tab.js("const v = document.querySelector('video'); v.muted = true; v.play()")
        await tab.until("document.querySelector('video').currentTime > 1.0")
        assert await tab.js("document.querySelector('video').videoWidth") > 100
        assert await tab.js("document.querySelector('video').duration") > 5.0

        # Feedback is stored
        await tab.js("document.getElementById('note').value = 'a <b>small</b> fire'")
        await tab.click("button[name=correct][value=true]")
        await tab.until("document.querySelector('[data-feedback=true]') !== null")
        await tab.until("document.querySelector('.said')?.innerText === 'Done.'")
        await tab.open(s.url + event_path)
        note = await tab.js("document.querySelector('[data-live^=event]').innerText")
        assert "a <b>small</b> fire" in note
        await tab.shoot(tmp_path / "event-light.png")

        # The threshold is changed, and holds
        await tab.open(f"{s.url}/cameras/lawn?hours=1")
        await tab.js(
            "const slider = document.querySelector('[data-slider]'); slider.value = '0.85';"
            "slider.dispatchEvent(new Event('input', {bubbles: true}))"
        )
        assert await tab.js("document.querySelector('[data-limit]').getAttribute('y1')") == "15"
        assert "would have meant" in await tab.js(
            "document.querySelector('[data-meant]').innerText"
        )
        await tab.click("[data-threshold-form] button")
        await s.heard.until(
            lambda: any(
                one and one["threshold"] == 0.85 for one in said(s.heard, "edgewatch/lawn/settings")
            )
        )
        await s.heard.until(
            lambda: said(s.heard, "edgewatch/lawn/verdict")[-1]["threshold"] == 0.85
        )

        # A click on a moment explains it
        await tab.click_at("[data-timeline] .curve", 0.999, 0.5)
        await tab.until("document.querySelector('#why .why h3') !== null")
        await tab.click_at("[data-timeline] .curve", 0.1, 0.5)
        await tab.until("document.querySelector('#why .why')?.innerText.includes('records')")
        assert await tab.js("location.pathname") == "/cameras/lawn"
        await tab.shoot(tmp_path / "camera-light.png", whole=True)

        # By keyboard, too
        await tab.js("document.querySelector('#why').replaceChildren()")
        await tab.js("document.querySelector('[data-timeline]').focus()")
        for key in ("End", "ArrowLeft", "Enter"):
            for kind in ("keyDown", "keyUp"):
                await tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)
        await tab.until("document.querySelector('#why .why h3') !== null")

        for step in steps_on(s.heard, "edgewatch/lawn/events"):
            assert step["event_id"]
        s.assert_quiet_and_at_home()
        await look_at_all(s, event_path)
        s.assert_quiet_and_at_home()


async def look_at_all(s: Shift, event_path: str) -> None:
    """Take pictures of each page, wide and narrow, light and dark, and check what can be."""
    pages = {
        "wall": "/",
        "event": event_path,
        "camera": "/cameras/lawn?hours=1",
        "events": "/events",
        "status": "/status",
    }
    for name, path in pages.items():
        for dark in (False, True):
            await s.tab.look(width=PHONE[0], height=PHONE[1], dark=dark, touch=True)
            await s.tab.open(s.url + path)
            await s.tab.until(
                "[...document.querySelectorAll('[data-picture]')].every(one => one.naturalWidth)"
            )
            wide = await s.tab.js("document.documentElement.scrollWidth")
            assert wide <= PHONE[0], f"{name} scrolls sideways: {wide}"
            await s.tab.shoot(
                s.folder / f"{name}-phone-{'dark' if dark else 'light'}.png", whole=True
            )
            await s.tab.look(width=1280, height=900, dark=dark)
            shot = await s.tab.shoot(s.folder / f"{name}-{'dark' if dark else 'light'}.png")
            pixels = cv2.imread(str(shot))
            assert pixels is not None
            ground = float(np.median(pixels[-60:, :40]))
            assert (ground < 60) if dark else (ground > 220), name


async def test_a_page_says_when_the_service_is_gone_and_recovers(tmp_path: Path) -> None:
    """What is old must not look as if it were now."""
    async with shift(tmp_path, {"walkway": SAMPLES / "walkway.mp4"}) as s:
        await s.tab.open(f"{s.url}/")
        await s.tab.until("document.querySelector('[data-picture]').naturalWidth > 100")
        assert await s.tab.js("document.getElementById('lost').hidden") is True
        await s.program.stop()
        await s.tab.until("document.getElementById('lost').hidden === false")
        assert await s.tab.js("document.body.classList.contains('is-lost')")
        s.tab.console.clear()  # a refused connection is an error to the browser, rightly
        async with daemon(s.folder / "edgewatch.toml"):
            await s.tab.until("document.getElementById('lost').hidden === true")
            await s.tab.until("document.querySelector('.summary.good') !== null")


async def test_a_hidden_page_closes_its_stream_and_a_shown_one_opens_it(tmp_path: Path) -> None:
    """A forgotten tab costs nothing."""
    async with shift(tmp_path, {"walkway": SAMPLES / "walkway.mp4"}) as s:
        await s.tab.open(f"{s.url}/")
        pages = (
            "fetch('/status').then(one => one.text())"
            ".then(text => Number(text.match(/(\\d+) pages/)[1]))"
        )
        await s.tab.until(f"await {pages} === 1")
        for hidden, count in ((True, 0), (False, 1)):
            await s.tab.js(
                f"Object.defineProperty(document, 'hidden', {{value: {json.dumps(hidden)}, "
                "configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"
            )
            await s.tab.until(f"await {pages} === {count}")
        await s.tab.until("document.querySelector('[data-picture]').naturalWidth > 100")
        s.assert_quiet_and_at_home()
