import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.messages import RESERVED_CAMERA_NAMES
from edgewatch.tools.recordings import camera_name, find_recordings, natural_key, printable


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0")


def names(*paths: Path | str) -> list[str]:
    return [one.name for one in find_recordings([str(path) for path in paths]).recordings]


def test_folder_gives_its_videos_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path / "clip10.mp4", tmp_path / "clip2.MP4", tmp_path / "INDEX.csv")
    assert names(tmp_path) == ["clip2.MP4", "clip10.mp4"]


def test_folder_gives_its_sub_folders_but_nothing_hidden(tmp_path: Path) -> None:
    touch(tmp_path / "b.mkv", tmp_path / "day2/a.ts", tmp_path / ".trash/c.mp4")
    touch(tmp_path / "._b.mkv")
    assert names(tmp_path) == ["b.mkv", "day2/a.ts"]


def test_file_named_by_itself_is_tried_whatever_it_is_called(tmp_path: Path) -> None:
    touch(tmp_path / "export.dat")
    assert names(tmp_path / "export.dat") == ["export.dat"]


def test_order_given_is_kept(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert names(tmp_path / "b.mp4", tmp_path / "a.mp4") == ["b.mp4", "a.mp4"]


def test_file_reached_twice_is_one_recording(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    assert names(tmp_path / "a.mp4", tmp_path, tmp_path / "*.mp4") == ["a.mp4"]


def test_glob_takes_videos_and_leaves_the_label_file(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "INDEX.csv")
    assert names(tmp_path / "*") == ["a.mp4"]


def test_glob_with_an_ending_takes_what_it_says(tmp_path: Path) -> None:
    touch(tmp_path / "a.dat", tmp_path / "b.mp4")
    assert names(tmp_path / "*.dat") == ["a.dat"]


def test_file_whose_name_looks_like_a_glob_is_found(tmp_path: Path) -> None:
    touch(tmp_path / "a[1].mp4")
    assert names(tmp_path / "a[1].mp4") == ["a[1].mp4"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("gone.mp4", "does not exist"),
        ("empty", "holds no video file"),
        ("*.mp4", "matches no video file"),
        ("pipe", "neither a file nor a folder"),
        ("nul\0.mp4", "is no path"),
    ],
)
def test_path_without_recording_is_listed_with_its_reason_and_others_go_on(
    tmp_path: Path, path: str, reason: str
) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    touch(tmp_path / "good/a.mp4")
    found = find_recordings([f"{tmp_path}/{path}", str(tmp_path / "good")])
    assert [one.name for one in found.recordings] == ["a.mp4"]
    assert len(found.failed) == 1
    assert reason in found.failed[0].reason


def test_url_is_refused_without_repeating_its_password() -> None:
    found = find_recordings(["rtsp://user:secret@10.0.0.9/stream"])
    assert not found.recordings
    assert "[[cameras]]" in found.failed[0].reason
    assert "secret" not in found.failed[0].name + found.failed[0].reason


def test_names_are_relative_to_the_folder_all_share(tmp_path: Path) -> None:
    touch(tmp_path / "x/front/a.mp4", tmp_path / "x/rear/a.mp4")
    assert names(tmp_path / "x/front/a.mp4", tmp_path / "x/rear/a.mp4") == [
        "front/a.mp4",
        "rear/a.mp4",
    ]


def test_equal_stems_get_different_cameras(tmp_path: Path) -> None:
    touch(tmp_path / "a/front.mp4", tmp_path / "b/Front.mkv", tmp_path / "c/front-2.mp4")
    found = find_recordings([str(tmp_path)])
    assert [one.camera for one in found.recordings] == ["front", "front-2", "front-2-2"]


def test_camera_never_takes_a_name_that_topics_keep(tmp_path: Path) -> None:
    touch(tmp_path / "replay.mp4", tmp_path / "drill.mp4")
    cameras = {one.camera for one in find_recordings([str(tmp_path)]).recordings}
    assert not cameras & RESERVED_CAMERA_NAMES


def test_name_that_is_no_utf8_is_shown_and_still_opens(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9\x1b[31m.mp4")
    with open(path, "wb"):
        pass
    found = find_recordings([str(tmp_path)])
    assert (
        found.recordings[0].name == "caf\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m.mp4"
    )
    assert found.recordings[0].path.is_file()


@given(st.text())
def test_any_text_makes_a_camera_name(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]{1,64}", camera_name(text))


@given(st.text())
def test_printable_text_can_be_encoded_and_shown(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.encode()) >= len(text)


@given(st.lists(st.text(alphabet="aZ019\u0663\u00b2 .-"), max_size=6))
def test_any_names_can_be_put_in_order(texts: list[str]) -> None:
    assert sorted(sorted(texts, key=natural_key)) == sorted(texts)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_in_names_sort_as_numbers(one: int, other: int) -> None:
    assert (natural_key(f"clip{one}.mp4") < natural_key(f"clip{other}.mp4")) == (one < other)
