import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.config.errors import ConfigError
from edgewatch.tools.labels import Labels, RecordingLabel, Window, label_of_name, read_labels


def csv_file(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def labels_of(folder: Path, text: str) -> Labels:
    return read_labels(csv_file(folder, text))


def test_row_gives_label_group_and_window(tmp_path: Path) -> None:
    labels = labels_of(
        tmp_path,
        "file,camera,label,anomaly_start_s,anomaly_end_s,what\n"
        'a.mp4,drive,Anomaly,0.5,4.5,"crash, hard"\n'
        "b.mp4,fixed,Normal,,,\n",
    )
    assert len(labels) == 2
    assert labels.for_file(tmp_path / "a.mp4") == RecordingLabel(
        "Anomaly", "drive", (Window(0.5, 4.5),)
    )
    assert labels.for_file(tmp_path / "b.mp4") == RecordingLabel("Normal", "fixed")
    assert labels.for_file(tmp_path / "c.mp4") is None


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("Anomaly", "Anomaly"),
        ("ANOMALY", "Anomaly"),
        ("1", "Anomaly"),
        ("normal", "Normal"),
        ("0", "Normal"),
        ("  Normal ", "Normal"),
    ],
)
def test_label_spellings(tmp_path: Path, written: str, label: str) -> None:
    found = labels_of(tmp_path, f"file,label\na.mp4,{written}\n").for_file(tmp_path / "a.mp4")
    assert found is not None
    assert found.label == label


def test_spreadsheet_file_with_byte_order_mark_and_semicolons_is_read(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "File;Label\r\na.mp4;Anomaly\r\n", encoding="utf-8-sig")
    assert read_labels(path).for_file(tmp_path / "a.mp4") == RecordingLabel("Anomaly")


def test_several_rows_of_a_file_are_several_windows_and_touching_ones_join(tmp_path: Path) -> None:
    labels = labels_of(
        tmp_path,
        "file,label,anomaly_start_s,anomaly_end_s\n"
        "a.mp4,Anomaly,8,9\na.mp4,Anomaly,1,3\na.mp4,Anomaly,2,4\n",
    )
    found = labels.for_file(tmp_path / "a.mp4")
    assert found is not None
    assert found.windows == (Window(1, 4), Window(8, 9))


@pytest.mark.parametrize(
    ("text", "line", "cure"),
    [
        ("", 1, "file,label"),
        ("file,what\n", 1, "label is missing"),
        ("file,label,label\n", 1, "twice"),
        ("file,label\na.mp4,bad\n", 2, "write Normal or Anomaly"),
        ("file,label\n\na.mp4,\n", 3, "write Normal or Anomaly"),
        ("file,label\n,Normal\n", 2, "write the recording's path"),
        ("file,label\na,b.mp4,Normal\n", 2, "double quotes"),
        ('file,label\n"a.mp4,Normal\n', 2, "not CSV"),
        ("file,label,anomaly_start_s,anomaly_end_s\na,1,4,\n", 2, "both or neither"),
        ("file,label,anomaly_start_s,anomaly_end_s\na,1,4,2\n", 2, "swap"),
        ("file,label,anomaly_start_s,anomaly_end_s\na,1,x,2\n", 2, "12.5"),
        ("file,label,anomaly_start_s,anomaly_end_s\na,1,-1,2\n", 2, "12.5"),
        ("file,label,anomaly_start_s,anomaly_end_s\na,1,1,nan\n", 2, "12.5"),
        ("file,label,anomaly_start_s,anomaly_end_s\na,0,1,2\n", 2, "write Anomaly"),
        ("file,label\na,0\na,1\n", 3, "another label"),
    ],
)
def test_wrong_csv_names_file_line_and_cure(
    tmp_path: Path, text: str, line: int, cure: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        labels_of(tmp_path, text)
    assert f"labels.csv, line {line}:" in str(caught.value)
    assert cure in str(caught.value)


def test_absent_or_binary_label_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.csv: cannot be read: No such file"):
        read_labels(tmp_path / "none.csv")
    (tmp_path / "video.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"video\.csv: is not UTF-8"):
        read_labels(tmp_path / "video.csv")


def test_label_file_kept_apart_matches_by_base_name(tmp_path: Path) -> None:
    labels = labels_of(tmp_path, "file,label\nold/place/a.mp4,1\n")
    assert labels.for_file("/elsewhere/a.mp4") == RecordingLabel("Anomaly")


def test_row_of_a_file_in_its_place_does_not_label_its_namesake(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    labels = labels_of(tmp_path, "file,label\na.mp4,1\n")
    assert labels.for_file(tmp_path / "other" / "a.mp4") is None


def test_best_fitting_path_wins_and_a_tie_is_an_error(tmp_path: Path) -> None:
    labels = labels_of(tmp_path, "file,label\nx/front/a.mp4,1\nx/rear/a.mp4,0\n")
    rear = labels.for_file("/elsewhere/rear/a.mp4")
    assert rear == RecordingLabel("Normal")
    with pytest.raises(ConfigError, match=r"2 rows could mean /elsewhere/a\.mp4.*write the path"):
        labels.for_file("/elsewhere/a.mp4")


def test_file_name_prefix_labels_what_no_row_does(tmp_path: Path) -> None:
    labels = labels_of(tmp_path, "file,label\nAnom_1.mp4,Normal\n")
    assert labels.for_file(tmp_path / "Anom_1.mp4") == RecordingLabel("Normal")
    assert Labels().for_file("Anom_2.mp4") == RecordingLabel("Anomaly")
    assert label_of_name("norm_3.mp4") == RecordingLabel("Normal")
    assert label_of_name("Anomaly.mp4") is None


@given(st.text())
def test_no_text_makes_the_reader_raise_anything_but_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    path.write_bytes(("file,label\n" + text).encode("utf-8", errors="surrogatepass"))
    with contextlib.suppress(ConfigError):
        assert len(read_labels(path)) <= len(text)
