"""`edgewatch commission` on a small recording, with the built-in engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgewatch.tools.commission import main
from tests.fakes.videos import noisy_scene, write_video

CLIPS = "[clips]\nfps = 4.0\nseconds = 2.0\nstride_seconds = 2.0\npixels = 12544\n"


def small_video(path: Path, *, frames: int) -> Path:
    return write_video(path, width=168, height=96, fps=4, frames=frames, draw=noisy_scene)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commission")
    video = write_video(
        folder / "walk.mp4", width=168, height=96, fps=4, frames=48, draw=noisy_scene
    )
    file = folder / "edgewatch.toml"
    file.write_text(
        f'[service]\ndata_dir = "{folder / "data"}"\n{CLIPS}'
        f'[[cameras]]\nname = "walk"\nurl = "{video}"\n'
        '[[cameras]]\nname = "gone"\nurl = "/nowhere/at/all.mp4"\n'
    )
    return file


@pytest.fixture(scope="module")
def document(
    settings: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    """One run for all tests that read it."""
    out = tmp_path_factory.mktemp("report")
    arguments = ["--config", str(settings), "--camera", "walk", "--report", str(out)]
    arguments += ["--kind", "flood", "--kind", "frozen", "--places", "1"]
    assert main(arguments) == 0
    return json.loads((out / "summary.json").read_text()), out


def test_every_trial_is_told_with_its_score(document: tuple[dict[str, Any], Path]) -> None:
    told, _ = document
    incidents = [one for one in told["trials"] if not one["harmless"] and one["kind"] == "flood"]
    assert [one["size"] for one in incidents] == ["small", "medium", "large"]
    assert all(0 <= one["peak_score"] <= 1 and one["changed_share"] > 0 for one in incidents)
    assert told["normal_seconds"] == pytest.approx(12.0, abs=1.0)
    assert told["unjudged_clips"] == 0


def test_a_picture_that_freezes_is_told_and_a_short_hold_is_not(
    document: tuple[dict[str, Any], Path],
) -> None:
    told, _ = document
    frozen = [one for one in told["trials"] if one["kind"] == "frozen"]
    assert all((one["told_seconds"] is None) is one["harmless"] for one in frozen)
    assert told["camera_faults"][0]["seen"] == told["camera_faults"][0]["tried"] == 3


def test_the_report_shows_a_picture_of_each_trial(document: tuple[dict[str, Any], Path]) -> None:
    told, out = document
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg") == len(told["trials"])
    assert (out / "trials.csv").read_text().count("\n") == len(told["trials"]) + 1


def test_a_camera_that_is_not_there_is_named_with_those_that_are(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(settings), "--camera", "wlak"]) == 78
    assert "walk" in capsys.readouterr().err


def test_footage_that_cannot_be_read_is_named(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(settings), "--camera", "gone"]) == 1
    assert "all.mp4" in capsys.readouterr().err
    code = main(["--config", str(settings), "--camera", "walk", "--footage", "/nowhere.mp4"])
    assert code == 78
    assert "--footage" in capsys.readouterr().err


def test_a_recording_shorter_than_a_clip_is_refused_with_the_cure(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = write_video(
        tmp_path / "short.mp4", width=168, height=96, fps=4, frames=4, draw=noisy_scene
    )
    code = main(["--config", str(settings), "--camera", "walk", "--footage", str(short)])
    assert code == 78
    assert "--footage" in capsys.readouterr().err
