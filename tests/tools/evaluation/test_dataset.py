"""Data sets: folders with labels in a CSV or in names, and drives."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.tools.evaluation.dataset import Dataset, read_dataset
from edgewatch.tools.labels import RecordingLabel, Window


def empty_files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def labels_of(dataset: Dataset) -> dict[str, RecordingLabel]:
    return {one.name: one.label for one in dataset.recordings}


def test_only_csv_with_label_columns_is_used_unasked(tmp_path: Path) -> None:
    empty_files(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "INDEX.csv").write_text(
        "file,camera,label,anomaly_start_s,anomaly_end_s\na.mp4,fixed,Anomaly,1,2\nb.mp4,,Normal,,\n"
    )
    (tmp_path / "weather.csv").write_text("file,rain\na.mp4,1\n")
    dataset = read_dataset(tmp_path)
    assert labels_of(dataset) == {
        "a.mp4": RecordingLabel("Anomaly", "fixed", (Window(1, 2),)),
        "b.mp4": RecordingLabel("Normal"),
    }
    assert dataset.failed == ()


def test_two_label_files_ask_which_is_meant(tmp_path: Path) -> None:
    empty_files(tmp_path, "a.mp4")
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("file,label\na.mp4,1\n")
    with pytest.raises(ConfigError, match=r"one\.csv, two\.csv are all label files.*--labels"):
        read_dataset(tmp_path)
    assert labels_of(read_dataset(tmp_path, tmp_path / "two.csv"))["a.mp4"].label == "Anomaly"


def test_names_are_labels_and_what_has_none_is_named(tmp_path: Path) -> None:
    empty_files(tmp_path, "Anom_1.mp4", "norm_2.mkv", "holiday.mp4")
    dataset = read_dataset(tmp_path)
    assert {name: one.label for name, one in labels_of(dataset).items()} == {
        "Anom_1.mp4": "Anomaly",
        "norm_2.mkv": "Normal",
    }
    assert [(one.name, "Anom_" in one.reason) for one in dataset.failed] == [("holiday.mp4", True)]


def test_drive_folder_labels_its_views_by_name_or_by_row(tmp_path: Path) -> None:
    empty_files(tmp_path, "Anom_7/front/1.mp4", "Anom_7/rear/1.mp4", "d8/left.mp4", "d8/front.mp4")
    (tmp_path / "labels.csv").write_text(
        "file,label,anomaly_start_s,anomaly_end_s\nd8,Anomaly,3,4\nd8/left.mp4,Normal,,\n"
    )
    window = (Window(3, 4),)
    assert labels_of(read_dataset(tmp_path)) == {
        "Anom_7/front/1.mp4": RecordingLabel("Anomaly", drive="Anom_7", view="front"),
        "Anom_7/rear/1.mp4": RecordingLabel("Anomaly", drive="Anom_7", view="rear"),
        "d8/front.mp4": RecordingLabel("Anomaly", "", window, drive="d8", view="front"),
        "d8/left.mp4": RecordingLabel("Normal", drive="d8", view="left"),
    }


def test_columns_name_drive_and_view(tmp_path: Path) -> None:
    empty_files(tmp_path, "1.mp4", "2.mp4")
    (tmp_path / "labels.csv").write_text(
        "file,label,drive,view\n1.mp4,1,monday,front\n2.mp4,1,monday,roof\n"
    )
    assert [(one.drive, one.view) for one in labels_of(read_dataset(tmp_path)).values()] == [
        ("monday", "front"),
        ("monday", "roof"),
    ]


def test_row_without_file_is_named(tmp_path: Path) -> None:
    empty_files(tmp_path, "1.mp4")
    (tmp_path / "labels.csv").write_text("file,label\n1.mp4,1\ngone.mp4,0\n")
    assert [one.reason for one in read_dataset(tmp_path).failed] == [
        "has a label, but there is no such file"
    ]


def test_csv_itself_names_the_recordings(tmp_path: Path) -> None:
    empty_files(tmp_path, "in/1.mp4", "in/other.mp4")
    (tmp_path / "labels.csv").write_text("file,label\nin/1.mp4,1\nin/gone.mp4,0\n")
    dataset = read_dataset(tmp_path / "labels.csv")
    assert list(labels_of(dataset)) == ["1.mp4"]
    assert [one.reason for one in dataset.failed] == ["does not exist; check the path"]


def test_absent_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_dataset(tmp_path / "nowhere")


def test_changed_file_has_another_fingerprint(tmp_path: Path) -> None:
    empty_files(tmp_path, "Norm_1.mp4")
    (one,) = read_dataset(tmp_path).recordings
    before = one.fingerprint
    (tmp_path / "Norm_1.mp4").write_bytes(b"more")
    assert one.fingerprint != before
