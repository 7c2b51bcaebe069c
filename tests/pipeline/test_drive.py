from __future__ import annotations

from edgewatch.pipeline.drive import Drive
from edgewatch.pipeline.types import SourceInfo


def info(started_seconds: float | None, duration_seconds: float | None = 60.0) -> SourceInfo:
    return SourceInfo("h264", 640, 360, 30.0, duration_seconds, started_seconds)


def test_recordings_that_follow_each_other_by_name_are_one_drive() -> None:
    drive = Drive()
    copied = info(started_seconds=5.0)  # all files bear the time at which they were copied
    assert not drive.goes_on("20240501_120000F.mp4", copied)
    assert drive.goes_on("20240501_120100F.mp4", copied)
    assert drive.goes_on("20240501_120201F.mp4", copied)
    assert not drive.goes_on("20240501_120500F.mp4", copied)


def test_where_names_tell_nothing_the_files_own_times_do() -> None:
    drive = Drive()
    assert not drive.goes_on("a.mp4", info(1000.0))
    assert drive.goes_on("b.mp4", info(1060.4))
    assert not drive.goes_on("c.mp4", info(1125.0))
    assert not drive.goes_on("d.mp4", info(None))
    assert not drive.goes_on("e.mp4", info(1200.0))


def test_the_same_recording_again_does_not_go_on() -> None:
    drive = Drive()
    drive.goes_on("20240501_120000.mp4", info(1000.0))
    assert not drive.goes_on("20240501_120000.mp4", info(1000.0))


def test_after_a_recording_of_unknown_length_nothing_is_known() -> None:
    drive = Drive()
    drive.goes_on("20240501_120000.mp4", info(1000.0, None))
    assert not drive.goes_on("20240501_120100.mp4", info(1060.0))
