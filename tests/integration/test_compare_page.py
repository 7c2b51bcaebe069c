"""The page that compares two settings, in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgewatch.tools.compare_report import write_comparison
from edgewatch.tools.comparison import Comparison
from edgewatch.tools.labels import RecordingLabel, Window
from tests.integration.test_report_page import DARK, LIGHT, browse, browser
from tests.tools.replays import a_replay, a_result

__all__ = ["browser"]  # the fixture

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

CRASH = RecordingLabel("Anomaly", "drive", (Window(5.0, 12.0),))
CALM = RecordingLabel("Normal", "fixed")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    hostile = "crash <script>console.error('ran')</script>.mp4"
    first = a_replay(
        a_result(hostile, [0.1, 0.2, 0.8, 0.9, 0.7, 0.1], label=CRASH),
        a_result("quiet.mp4", [0.1] * 40, label=CALM),
    )
    second = a_replay(
        a_result(hostile, [0.1, 0.2, 0.3, 0.4, 0.3, 0.1], label=CRASH),
        replace(a_result("quiet.mp4", [0.1] * 40, label=CALM), error="ends in the middle"),
    )
    comparison = Comparison(
        first=first,
        second=second,
        first_name="/etc/edgewatch/edgewatch.toml",
        second_name="new.toml",
        how="once",
        differing={"engine.prompt": ("A. " * 300, "B."), "events.close_below": (None, 0.3)},
        wall_seconds=3.0,
    )
    return write_comparison(comparison, tmp_path_factory.mktemp("comparison"))


def test_page_opens_without_a_word_on_the_console_and_shows_both_sides(
    browser: str, page: Path, tmp_path: Path
) -> None:
    done = browse(browser, page, tmp_path, "--dump-dom")
    assert "CONSOLE" not in done.stderr
    dom = done.stdout
    assert "<script" not in dom
    assert "crash &lt;script&gt;" in dom
    assert len(re.findall(r"<section ", dom)) == 2
    assert len(re.findall(r"<svg ", dom)) == 4
    assert "event gone, worse" in dom
    assert (page.parent / "a" / "report.html").exists()
    assert (page.parent / "b" / "report.html").exists()


@pytest.mark.parametrize(("scheme", "bright"), [(LIGHT, True), (DARK, False)])
def test_page_is_light_or_dark_as_the_reader_prefers(
    browser: str, page: Path, tmp_path: Path, scheme: str, bright: bool
) -> None:
    shot = tmp_path / "page.png"
    browse(browser, page, tmp_path, scheme, "--window-size=1280,1400", f"--screenshot={shot}")
    pixels = cv2.imread(str(shot))
    assert pixels is not None
    ground = float(np.median(pixels))
    assert (ground > 230) if bright else (ground < 50)


def test_page_on_a_phone_never_scrolls_sideways(browser: str, page: Path, tmp_path: Path) -> None:
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
