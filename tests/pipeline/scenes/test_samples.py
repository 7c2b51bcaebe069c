"""The bundled samples: small, playable, and as their truth says."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

SAMPLES = Path(__file__).parents[3] / "samples"
MAX_BYTES = 8_000_000


def _labels() -> dict[str, dict[str, str]]:
    with (SAMPLES / "truth.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


@cache
def _tiny_pictures(name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """All pictures of a sample at 64x48 grey, and their times in seconds."""
    pictures, times = [], []
    with av.open(str(SAMPLES / name)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            pictures.append(frame.reformat(64, 48, "gray").to_ndarray().astype(np.float32))
            times.append(float(frame.time or 0.0))
    return np.stack(pictures), np.array(times)


def test_labels_name_exactly_the_files_that_are_there() -> None:
    assert sorted(_labels()) == sorted(path.name for path in SAMPLES.glob("*.mp4"))


def test_all_samples_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.glob("*.mp4")) <= MAX_BYTES


def test_the_licence_lies_beside_the_footage() -> None:
    assert "OpenCV" in (SAMPLES / "LICENSE.opencv.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "size", "fps"),
    [
        ("walkway.mp4", (640, 480), 10),
        ("walkway_incident.mp4", (640, 480), 10),
        ("drive_impact.mp4", (640, 360), 15),
    ],
)
def test_each_sample_decodes_whole_at_its_rate(name: str, size: tuple[int, int], fps: int) -> None:
    with av.open(str(SAMPLES / name)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == size
        assert stream.average_rate == fps
    _, times = _tiny_pictures(name)
    assert len(times) == 24 * fps
    np.testing.assert_allclose(np.diff(times), 1 / fps, atol=1e-3)


def test_playback_can_begin_before_the_whole_file_has_come() -> None:
    for path in SAMPLES.glob("*.mp4"):
        data = path.read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("name", ["walkway_incident.mp4", "drive_impact.mp4"])
def test_the_incident_begins_where_the_label_says_and_lasts(name: str) -> None:
    label = _labels()[name]
    start, end = float(label["anomaly_start_s"]), float(label["anomaly_end_s"])
    assert label["label"] == "Anomaly"
    assert 8.0 <= start <= 9.0
    assert end - start >= 5.0
    pictures, times = _tiny_pictures(name)
    steps = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2))
    moments = times[1:]
    during = steps[(moments >= start) & (moments < min(end, start + 5.0))].max()
    assert during > 2 * steps[moments < start - 0.2].max()


def test_the_normal_sample_has_no_incident() -> None:
    label = _labels()["walkway.mp4"]
    assert (label["label"], label["anomaly_start_s"], label["anomaly_end_s"]) == ("Normal", "", "")
    steps = np.abs(np.diff(_tiny_pictures("walkway.mp4")[0], axis=0)).mean(axis=(1, 2))
    assert steps.max() < 4.0
