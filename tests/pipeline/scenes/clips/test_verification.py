"""Verification: what is whole passes; each way to be untrue is found, and named."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgewatch.pipeline.scenes.clips.clip_file import WrittenClip, write_clip
from edgewatch.pipeline.scenes.clips.footage import footage_of
from edgewatch.pipeline.scenes.clips.verification import verify_clip
from edgewatch.pipeline.scenes.clips.video import encode
from edgewatch.pipeline.types import Pixels
from tests.pipeline.scenes.clips.recipes import FPS, SIZE, STILL, still_recipe

FLAME = still_recipe("flame")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> WrittenClip:
    return write_clip(FLAME, tmp_path_factory.mktemp("made"), still=STILL)


@pytest.fixture
def clip(made: WrittenClip, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    for path in made.video.parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / made.video.name


def _truth(clip: Path) -> Path:
    return clip.with_name(f"{clip.stem}.truth.jsonl")


def _said_anew(clip: Path, **said: Any) -> None:
    """Change the sidecar as a forger would: hashes fit what is there."""
    sidecar = clip.with_name(f"{clip.stem}.clip.json")
    document = json.loads(sidecar.read_text())
    for key, path in (("sha256", clip), ("truth_sha256", _truth(clip))):
        document[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    sidecar.write_text(json.dumps({**document, **said}))


def _pictures() -> list[Pixels]:
    footage = footage_of(FLAME, STILL)
    return [footage.frame(index) for index in range(footage.frame_count)]


def _encoded_anew(clip: Path, pictures: Sequence[Pixels]) -> None:
    encode(clip, pictures, SIZE, FPS)
    _said_anew(clip)


def _failed(clip: Path) -> dict[str, str]:
    return {check.name: check.says for check in verify_clip(clip).checks if not check.passed}


def test_a_clip_passes_every_check_and_its_incident_survives_the_codec(made: WrittenClip) -> None:
    pictures: list[int] = []
    findings = verify_clip(made.video, on_frame=lambda: pictures.append(1))
    assert findings.trouble == ""
    assert findings.passed
    assert [check.name for check in findings.checks] == [
        *("sidecar", "video", "truth", "pictures", "rendering", "codec", "order", "survival")
    ]
    assert "8 to 15 (changed from 8)" in findings.checks[-1].says
    assert len(pictures) == 16
    assert json.loads(json.dumps(findings.document()))["passed"] is True


def test_a_truncated_video_is_named(clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:-200])
    assert "cut off or altered" in _failed(clip)["video"]


def test_a_video_that_ends_early_is_named_though_its_hash_fits(clip: Path) -> None:
    _encoded_anew(clip, _pictures()[:-3])
    assert "13 pictures decode, 16 were written" in _failed(clip)["pictures"]


def test_a_broken_video_is_named_though_its_hash_fits(clip: Path) -> None:
    clip.write_bytes(b"\0" * 5000)
    _said_anew(clip)
    assert "damaged" in _failed(clip)["pictures"]


def test_pictures_that_changed_places_are_named(clip: Path) -> None:
    pictures = _pictures()
    pictures[3], pictures[4] = pictures[4], pictures[3]
    _encoded_anew(clip, pictures)
    assert "picture 3 shows its neighbour" in _failed(clip)["order"]


def test_a_video_without_the_incident_is_named(clip: Path) -> None:
    footage = footage_of(FLAME, STILL)
    _encoded_anew(clip, [footage.without(index) for index in range(footage.frame_count)])
    assert "is lost in the video" in _failed(clip)["survival"]


def test_other_footage_is_named(clip: Path) -> None:
    _encoded_anew(clip, [255 - pixels for pixels in _pictures()])
    assert "codec" in _failed(clip)


def test_a_mask_that_was_altered_is_named(clip: Path) -> None:
    lines = _truth(clip).read_text().splitlines(keepends=True)
    lines[12] = lines[12].replace(
        lines[12], lines[13].replace('"f":13,"t":1.625', '"f":12,"t":1.5')
    )
    _truth(clip).write_text("".join(lines))
    assert "truth" in _failed(clip)
    _said_anew(clip)
    assert "truth of picture 12" in _failed(clip)["rendering"]


def test_a_line_that_is_missing_is_named(clip: Path) -> None:
    lines = _truth(clip).read_text().splitlines(keepends=True)
    _truth(clip).write_text("".join(lines[:-1]))
    _said_anew(clip)
    assert "15 lines for 16 pictures" in _failed(clip)["truth"]


def test_an_incident_said_to_be_elsewhere_is_named(clip: Path) -> None:
    _said_anew(clip, t0_frame=3)
    assert "not those of the sidecar" in _failed(clip)["truth"]


def test_a_recipe_that_was_altered_or_a_clip_renamed_is_named(clip: Path) -> None:
    renamed = clip.with_name("harmless.mp4")
    for suffix in (".mp4", ".clip.json", ".truth.jsonl"):
        shutil.copy(clip.with_name(clip.stem + suffix), renamed.with_suffix(suffix))
    assert "renamed" in _failed(renamed)["sidecar"]
    sidecar = clip.with_name(f"{clip.stem}.clip.json")
    document = json.loads(sidecar.read_text())
    document["recipe"]["seed"] += 1
    sidecar.write_text(json.dumps(document))
    assert "altered" in _failed(clip)["sidecar"]


def test_a_still_or_truth_that_is_gone_is_named(clip: Path) -> None:
    next(clip.parent.glob("still-*.png")).unlink()
    assert "is missing" in _failed(clip)["rendering"]
    _truth(clip).unlink()
    assert "is missing" in _failed(clip)["truth"]


def test_a_file_that_is_no_clip_is_told(tmp_path: Path) -> None:
    findings = verify_clip(tmp_path / "holiday.mp4")
    assert not findings.passed
    assert "no clip made here" in findings.trouble


def test_normal_footage_passes_too(tmp_path: Path) -> None:
    written = write_clip(still_recipe(motion="none"), tmp_path, still=STILL)
    assert verify_clip(written.video).trouble == ""
