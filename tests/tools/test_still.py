from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from edgewatch.config.settings import Settings, load_settings
from edgewatch.pipeline.types import SourceInfo
from edgewatch.tools.camera_probe import CameraProbes, Seen
from edgewatch.tools.still import drawn_over, still_findings
from tests.fakes.videos import marked_corner, write_video

LEFT = "[[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]]"


def settings_of(folder: Path, url: str, ignore: str = "[]", more: str = "") -> Settings:
    file = folder / "edgewatch.toml"
    file.write_text(f'[[cameras]]\nname = "front"\nurl = "{url}"\nignore = {ignore}\n{more}')
    return load_settings(file, {})


def read_jpeg(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with av.open(str(path)) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


def test_a_still_shows_the_picture_upright_with_its_regions_in_red(tmp_path: Path) -> None:
    video = write_video(
        tmp_path / "gate.mp4", width=640, height=360, frames=3, draw=marked_corner, rotation=180
    )
    settings = settings_of(tmp_path, str(video), LEFT)
    (finding,) = still_findings(settings.plans(), tmp_path / "stills")
    assert finding.status == "ok"
    assert "front.jpg" in finding.detail
    assert "50 % ignored" in finding.detail
    picture = read_jpeg(tmp_path / "stills" / "front.jpg")
    assert picture.shape == (360, 640, 3)
    blue, red = picture[80:100, 550:570].mean(axis=(0, 1)), picture[80:100, 90:110].mean((0, 1))
    assert blue[2] > 150 > 60 > blue[0]  # as it is: no region here
    assert red[0] > 70
    assert red[0] > blue[0] + 50  # the same blue under red


def test_a_grid_of_tenths_lies_over_it() -> None:
    plain = np.full((200, 400, 3), 60, np.uint8)
    drawn = drawn_over(plain, ())
    assert drawn[150, 40, 0] > 120
    assert drawn[120, 333, 0] > 120
    assert drawn[150, 55, 0] == 60
    assert (plain == 60).all()


def test_a_camera_without_a_picture_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    video = write_video(tmp_path / "gate.mp4", frames=3)
    more = f'[[cameras]]\nname = "gate"\nurl = "{video}"\n'
    settings = settings_of(tmp_path, str(tmp_path / "gone.mp4"), more=more)
    gone, gate = still_findings(settings.plans(), tmp_path)
    assert (gone.status, gate.status) == ("warn", "ok")
    assert "gone.mp4" in gone.detail
    assert not (tmp_path / "front.jpg").exists()


def test_a_folder_that_cannot_be_written_fails_with_its_name(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    settings = settings_of(tmp_path, str(tmp_path / "x.mp4"))
    (finding,) = still_findings(settings.plans(), blocked / "stills")
    assert finding.status == "fail"
    assert str(blocked) in finding.subject


@pytest.mark.parametrize(("ignore", "told"), [(LEFT, "50 % of it ignored"), ("[]", "")])
def test_check_says_how_much_of_a_picture_is_ignored(
    tmp_path: Path, ignore: str, told: str
) -> None:
    info = SourceInfo("h264", 640, 360, 25.0)
    settings = settings_of(tmp_path, "rtsp://10.0.0.9/1", ignore)
    probes = CameraProbes(settings.plans(), lambda source, plan: Seen(info, 1.0))
    (finding,) = probes.findings(daemon_runs=False)
    assert told in finding.detail
    assert bool(told) == ("ignored" in finding.detail)
