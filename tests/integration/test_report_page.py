"""The report's page in a real browser."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgewatch.tools.labels import RecordingLabel, Window
from edgewatch.tools.recordings import NotFound
from edgewatch.tools.report import write_report
from tests.tools.replays import a_replay, a_result

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LIGHT, DARK = "--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium: apt install chromium")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    crash = a_result(
        "crash <script>console.error('ran')</script>.mp4",
        [0.1, 0.2, 0.8, 0.9, 0.7, 0.1],
        label=RecordingLabel("Anomaly", "drive", (Window(5.0, 12.0),)),
    )
    quiet = a_result("quiet.mp4", [0.1] * 40, label=RecordingLabel("Normal", "fixed"))
    cut = a_result("cut.ts", [0.2], error="ends in the middle")
    replay = replace(
        a_replay(crash, quiet, cut), not_found=(NotFound("gone.mp4", "does not exist"),)
    )
    return write_report(replay, tmp_path_factory.mktemp("report"))


def browse(
    browser: str, page: Path, folder: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    """Open a page, wait until it has settled, and return what the browser printed."""
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        *options,
        page.as_uri(),
    ]
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=100, check=True
    )


def test_page_opens_without_a_word_on_the_console_and_shows_each_recording(
    browser: str, page: Path, tmp_path: Path
) -> None:
    done = browse(browser, page, tmp_path, "--dump-dom")
    assert "CONSOLE" not in done.stderr
    dom = done.stdout
    assert "crash &lt;script&gt;" in dom
    assert "<script" not in dom
    assert len(re.findall(r"<section ", dom)) == 3
    assert len(re.findall(r"<svg ", dom)) == 3
    assert dom.rstrip().endswith("</html>")


@pytest.mark.parametrize(("scheme", "bright"), [(LIGHT, True), (DARK, False)])
def test_page_is_light_or_dark_as_the_reader_prefers(
    browser: str, page: Path, tmp_path: Path, scheme: str, bright: bool
) -> None:
    shot = tmp_path / "page.png"
    browse(browser, page, tmp_path, scheme, "--window-size=1280,2000", f"--screenshot={shot}")
    pixels = cv2.imread(str(shot))
    assert pixels is not None
    assert pixels.shape[:2] == (2000, 1280)
    ground, ink = float(np.median(pixels)), float(np.abs(pixels - np.median(pixels)).max())
    assert (ground > 230) if bright else (ground < 50)
    assert ink > 150


def test_page_on_a_phone_never_scrolls_sideways(browser: str, page: Path, tmp_path: Path) -> None:
    # Headless Chromium has no window below 500 pixels; a frame is as narrow as it is told.
    # The page forbids scripts of its own, so the frame's owner measures it.
    frame = tmp_path / "phone.html"
    frame.write_text(
        f'<iframe src="{page.as_uri()}" width="390" height="800" onload="'
        "const it = this.contentDocument.documentElement;"
        "document.title = it.scrollWidth + ' of ' + it.clientWidth\"></iframe>"
    )
    done = browse(browser, frame, tmp_path, "--allow-file-access-from-files", "--dump-dom")
    measured = re.search(r"<title>(\d+) of (\d+)</title>", done.stdout)
    assert measured, done.stdout + done.stderr
    assert int(measured[1]) <= int(measured[2]) <= 390
