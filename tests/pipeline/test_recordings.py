from __future__ import annotations

from pathlib import Path

import pytest

from edgewatch.pipeline.errors import CameraRejected
from edgewatch.pipeline.recordings import check_readable, named_seconds, recordings
from edgewatch.pipeline.source import Source, parse_source


def file_source(path: Path) -> Source:
    return parse_source(str(path))


def test_a_file_is_its_own_only_recording(tmp_path: Path) -> None:
    source = file_source(tmp_path / "a.mp4")
    assert recordings(source) == [source]


def test_a_directory_gives_its_recordings_in_natural_order(tmp_path: Path) -> None:
    for name in ("clip10.mp4", "clip2.MP4", "Clip1.mkv", "notes.txt", "clip2b.avi"):
        (tmp_path / name).touch()
    (tmp_path / "sub.mp4").mkdir()
    found = [Path(part.location).name for part in recordings(file_source(tmp_path))]
    assert found == ["Clip1.mkv", "clip2.MP4", "clip2b.avi", "clip10.mp4"]


def test_a_directory_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraRejected, match="holds no video files") as caught:
        recordings(file_source(tmp_path))
    assert caught.value.reason == "not_found"


def test_a_path_through_a_file_is_named_as_missing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("x")
    with pytest.raises(CameraRejected, match="does not exist") as caught:
        check_readable(file_source(tmp_path / "a.mp4" / "b.mp4"))
    assert caught.value.reason == "not_found"


def test_a_dashcams_files_are_played_in_the_order_of_the_time_in_their_names(
    tmp_path: Path,
) -> None:
    names = [
        "NO20240501-115900-000001F.mp4",
        "EV20240501-120000-000002F.mp4",
        "NO20240501-120100-000003F.mp4",
        "EV20240502-000000-000001F.mp4",
    ]
    for name in reversed(names):
        (tmp_path / name).write_bytes(b"x")
    found = [Path(part.location).name for part in recordings(file_source(tmp_path))]
    assert found == names


def test_one_name_without_a_time_leaves_the_natural_order(tmp_path: Path) -> None:
    names = ["2024-05-02 08.00.00.mp4", "clip2.mp4", "clip10.mp4", "x_20240501_080000.mp4"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    found = [Path(part.location).name for part in recordings(file_source(tmp_path))]
    assert found == names


def test_a_date_that_does_not_exist_is_no_time() -> None:
    assert named_seconds("20240231_120000.mp4") is None
    later, earlier = (
        named_seconds("20240501_120100.mp4"),
        named_seconds("EV2024-05-01 12.00.00.mp4"),
    )
    assert later is not None
    assert earlier is not None
    assert later - earlier == 60.0
