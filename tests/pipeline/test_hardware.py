"""No hardware decodes here: what can be tested is that its absence costs nothing but a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edgewatch.pipeline.errors import CameraRejected
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.video import open_video, probe
from tests.fakes.videos import write_video


@pytest.mark.parametrize("wish", ["auto", "cuda", "vaapi"])
def test_without_the_device_decoding_goes_on_in_software(tmp_path: Path, wish: str) -> None:
    source = parse_source(str(write_video(tmp_path / "a.mp4", frames=10)))
    reading = Reading(hwaccel=wish)
    info = probe(source, reading)
    if "hardware" in info.decoding:
        pytest.skip("there is hardware that decodes")
    with open_video(source, reading) as video:
        results = video.sampled(lambda stamp: (stamp,), area_pixels=63_504)
        assert sum(len(found) for found in results) == 10
    with capture_logs() as logged:
        probe(source, reading)
    assert not [line for line in logged if line["event"] == "hardware decoding not available"]


def test_a_missing_file_is_not_blamed_on_the_device(tmp_path: Path) -> None:
    with pytest.raises(CameraRejected) as caught:
        probe(parse_source(str(tmp_path / "gone.mp4")), Reading(hwaccel="auto"))
    assert caught.value.reason == "not_found"
