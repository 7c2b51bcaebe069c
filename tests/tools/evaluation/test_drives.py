"""Which recordings are views of one drive."""

from __future__ import annotations

import pytest

from edgewatch.tools.evaluation.drives import Place, places, view_of


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("front", "front"),
        ("Left", "left"),
        ("back", "rear"),
        ("rear_right", "rear_right"),
        ("side-left", "side_left"),
        ("camera_front_wide_120fov", "front_wide"),
        ("front2", ""),
        ("cam 1", ""),
        ("leftovers", ""),
        ("a_front_door", ""),
        ("", ""),
    ],
)
def test_view_is_read_from_names_that_say_nothing_else(name: str, view: str) -> None:
    assert view_of(name) == view


def test_view_folders_and_view_files_of_one_folder_are_a_drive() -> None:
    assert places(
        ["d7/front/0001.mp4", "d7/back/0002.mp4", "d8/left.mp4", "d8/right.mp4", "alone.mp4"]
    ) == [
        Place("d7", "front"),
        Place("d7", "rear"),
        Place("d8", "left"),
        Place("d8", "right"),
        Place(),
    ]


def test_files_of_the_same_name_in_view_folders_belong_together() -> None:
    assert places(["front/a.mp4", "front/b.mp4", "left/a.mp4", "left/c.mp4"]) == [
        Place("a", "front"),
        Place(),
        Place("a", "left"),
        Place(),
    ]


def test_one_view_alone_is_no_drive() -> None:
    assert places(["yard/front/1.mp4", "yard/gate/1.mp4", "front.mp4"]) == [Place()] * 3
