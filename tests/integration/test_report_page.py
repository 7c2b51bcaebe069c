"""The report's page in a real browser."""

import re
from dataclasses import replace

import pytest

from edgewatch.tools.labels import RecordingLabel, Window
from edgewatch.tools.recordings import NotFound
from edgewatch.tools.report import write_report
from tests.integration.sheets import Seen, see
from tests.tools.replays import a_replay, a_result

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
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
    page = write_report(replay, tmp_path_factory.mktemp("report"))
    return see(page, tmp_path_factory.mktemp("browser"))


def test_page_is_quiet_light_or_dark_and_no_wider_than_a_phone(seen: Seen) -> None:
    seen.assert_fit_for_readers()


def test_page_shows_each_recording_and_escapes_its_name(seen: Seen) -> None:
    seen.assert_no_text_became_markup()
    assert "crash &lt;script&gt;" in seen.dom
    assert len(re.findall(r"<section ", seen.dom)) == 3
    assert len(re.findall(r"<svg ", seen.dom)) == 3
