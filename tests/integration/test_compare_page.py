"""The page that compares two settings, in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from edgewatch.tools.compare_report import write_comparison
from edgewatch.tools.comparison import Comparison
from edgewatch.tools.labels import RecordingLabel, Window
from tests.integration.sheets import Seen, see
from tests.tools.replays import a_replay, a_result

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

CRASH = RecordingLabel("Anomaly", "drive", (Window(5.0, 12.0),))
CALM = RecordingLabel("Normal", "fixed")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
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
    page = write_comparison(comparison, tmp_path_factory.mktemp("comparison"))
    return see(page, tmp_path_factory.mktemp("browser"))


def test_page_is_quiet_light_or_dark_and_no_wider_than_a_phone(seen: Seen) -> None:
    seen.assert_fit_for_readers()


def test_page_shows_both_sides_and_escapes_names(seen: Seen) -> None:
    seen.assert_no_text_became_markup()
    assert "crash &lt;script&gt;" in seen.dom
    assert len(re.findall(r"<section ", seen.dom)) == 2
    assert len(re.findall(r"<svg ", seen.dom)) == 4
    assert "event gone, worse" in seen.dom
    assert (seen.page.parent / "a" / "report.html").exists()
    assert (seen.page.parent / "b" / "report.html").exists()
