"""Clip files: whole or not at all, the same for the same recipe, telling nothing by their looks."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import av
import pytest

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused
from edgewatch.pipeline.scenes.clips.clip_file import WrittenClip, read_still, write_clip
from edgewatch.pipeline.scenes.clips.labels import INDEX, write_index
from edgewatch.pipeline.scenes.clips.recipe import Recipe
from edgewatch.pipeline.scenes.clips.sidecar import Origin, read_sidecar
from edgewatch.pipeline.scenes.still_file import pixels_sha256, png_texts
from edgewatch.pipeline.scenes.truth import IncidentKind
from edgewatch.tools.labels import Window, read_labels
from tests.pipeline.scenes.clips.recipes import FPS, SIZE, STILL, still_recipe

FLAME = still_recipe("flame")
TWIN = replace(FLAME, twin=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def flame(folder: Path) -> WrittenClip:
    return write_clip(FLAME, folder, still=STILL)


@pytest.fixture(scope="module")
def twin(folder: Path) -> WrittenClip:
    return write_clip(TWIN, folder, still=STILL)


def test_a_clip_plays_at_its_size_and_rate(flame: WrittenClip) -> None:
    with av.open(str(flame.video)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == SIZE
        assert stream.average_rate == FPS
        times = [frame.time for frame in container.decode(stream)]
    assert times == pytest.approx([index / FPS for index in range(16)])


def test_the_sidecar_tells_what_the_clip_is(flame: WrittenClip, twin: WrittenClip) -> None:
    said = json.loads(flame.sidecar.read_text())
    assert said["id"] == flame.video.stem
    assert said["synthetic"] is True
    assert (said["label"], said["kind"]) == ("Anomaly", "flame")
    assert (said["t0_frame"], said["t_end_frame"], said["frames"]) == (8, 16, 16)
    assert said["source_still_sha256"] == pixels_sha256(STILL)
    other = json.loads(twin.sidecar.read_text())
    assert (other["label"], other["kind"], other["twin_of"]) == ("Normal", None, "flame")
    assert (said["twin_id"], other["twin_id"]) == (other["id"], said["id"])
    assert read_sidecar(flame.video) == flame.record == read_sidecar(flame.sidecar)


def test_two_folders_get_the_same_bytes(flame: WrittenClip, tmp_path: Path) -> None:
    again = write_clip(FLAME, tmp_path, still=STILL)
    for one, other in ((flame.video, again.video), (flame.truth, again.truth)):
        assert one.read_bytes() == other.read_bytes()
    assert again.record == flame.record


def test_another_process_draws_the_same_pixels(flame: WrittenClip, folder: Path) -> None:
    script = (
        "import sys, hashlib\n"
        "from pathlib import Path\n"
        "from edgewatch.pipeline.scenes.clips.clip_file import read_still, still_path\n"
        "from edgewatch.pipeline.scenes.clips.footage import footage_of\n"
        "from edgewatch.pipeline.scenes.clips.sidecar import read_sidecar\n"
        "recipe = read_sidecar(Path(sys.argv[1])).recipe\n"
        "still = read_still(still_path(Path(sys.argv[1]).parent, recipe.still_sha256))\n"
        "footage, pixels = footage_of(recipe, still), hashlib.sha256()\n"
        "[pixels.update(footage.frame(i).tobytes()) for i in range(footage.frame_count)]\n"
        "print(pixels.hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(flame.sidecar)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == flame.record.pixels_sha256


def test_nothing_in_name_or_video_tells_the_label(flame: WrittenClip, twin: WrittenClip) -> None:
    words = [*get_args(IncidentKind), "anomal", "incident", "twin", "normal", "edgewatch", "synth"]
    for clip in (flame, twin):
        with av.open(str(clip.video)) as container:
            told = {**container.metadata, **container.streams.video[0].metadata}
        text = clip.video.name + clip.video.read_bytes().decode("latin-1") + json.dumps(told)
        assert [word for word in words if word in text.lower()] == []


def test_what_is_there_is_kept_and_not_drawn_again(folder: Path, flame: WrittenClip) -> None:
    before = flame.video.stat().st_mtime_ns
    pictures = []
    # Without the still it could not be drawn.
    again = write_clip(FLAME, folder, on_frame=lambda: pictures.append(1))
    assert again.known
    assert flame.video.stat().st_mtime_ns == before
    assert len(pictures) == 16


def test_an_interruption_leaves_nothing_half_made(tmp_path: Path) -> None:
    pictures: list[int] = []

    def interrupt() -> None:
        pictures.append(1)
        if len(pictures) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_clip(TWIN, tmp_path, still=STILL, on_frame=interrupt)
    assert [path.suffix for path in tmp_path.iterdir()] == [".png"]
    assert not write_clip(TWIN, tmp_path, still=STILL).known


def test_a_clip_without_its_sidecar_is_made_anew(tmp_path: Path) -> None:
    written = write_clip(TWIN, tmp_path, still=STILL)
    written.sidecar.unlink()
    assert not write_clip(TWIN, tmp_path, still=STILL).known
    assert written.sidecar.exists()


def test_only_what_was_drawn_may_measure_accuracy(flame: WrittenClip) -> None:
    assert flame.record.usable_for == ("drill",)
    drawn = replace(flame.record, recipe=Recipe(7))
    assert drawn.usable_for == ("drill", "accuracy")


@pytest.mark.parametrize(("backend", "marked"), [("diffusers", True), ("file", False)])
def test_a_painted_still_keeps_its_mark(tmp_path: Path, backend: str, marked: bool) -> None:
    recipe = replace(still_recipe(), fps=1.0)
    write_clip(recipe, tmp_path, still=STILL, origin=Origin(backend))
    (path,) = tmp_path.glob("still-*.png")
    assert (png_texts(path.read_bytes()).get("synthetic") == "true") == marked


def test_the_index_labels_each_clip(folder: Path, flame: WrittenClip, twin: WrittenClip) -> None:
    path = write_index(folder)
    labels = read_labels(path)
    told = labels.for_file(flame.video)
    assert told is not None
    assert (told.label, told.group, told.windows) == ("Anomaly", "fixed", (Window(1.0, 2.0),))
    other = labels.for_file(twin.video)
    assert other is not None
    assert (other.label, other.windows) == ("Normal", ())
    with path.open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert rows[flame.video.name]["kind"] == "flame"
    assert rows[twin.video.name]["twin_of"] == "flame"
    assert rows[twin.video.name]["twin_file"] == flame.video.name


def test_an_index_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text("file,label\nmine.mp4,Normal\n")
    with pytest.raises(SceneRefused, match="another folder"):
        write_index(tmp_path)
    assert "mine" in (tmp_path / INDEX).read_text()


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_still_that_is_no_picture_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gate.jpg"
    path.write_bytes(content)
    with pytest.raises(SceneInvalid, match=r"gate\.jpg"):
        read_still(path)


@pytest.mark.parametrize("damage", ["", "{}", '{"schema":1,"id":"x"}', "[1]"])
def test_a_damaged_sidecar_is_told(tmp_path: Path, damage: str) -> None:
    (tmp_path / "a.clip.json").write_text(damage)
    with pytest.raises(SceneInvalid, match=r"a\.clip\.json"):
        read_sidecar(tmp_path / "a.mp4")
    with pytest.raises(SceneRefused, match="no clip made here"):
        read_sidecar(tmp_path / "b.mp4")
