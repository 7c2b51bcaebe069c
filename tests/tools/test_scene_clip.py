"""`edgewatch scenes clip`: what it makes, tells, keeps and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from edgewatch.pipeline.scenes.clips.sidecar import read_sidecar
from edgewatch.tools.evaluation.dataset import read_dataset
from edgewatch.tools.scenes import main as scenes
from tests.pipeline.scenes.clips.recipes import STILL

SMALL = ["--size", "160x96", "--fps", "5", "--seconds", "2"]


@pytest.fixture
def still(tmp_path: Path) -> Path:
    path = tmp_path / "gate.png"
    cv2.imwrite(str(path), STILL[..., ::-1])
    return path


def _clip(*argv: str) -> int:
    return scenes(["clip", *argv])


def test_without_an_incident_named_it_makes_one_and_its_twin_that_evaluate_can_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "clips"
    argv = ("--backend", "procedural", "--scene", "corridor", "--seed", "7", "--out", str(out))
    assert _clip(*argv, *SMALL, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    incident, twin = document["clips"]
    assert (incident["label"], twin["label"]) == ("Anomaly", "Normal")
    assert twin["twin_of"] == incident["kind"]
    assert incident["usable_for"] == ["drill", "accuracy"]
    dataset = read_dataset(out)
    assert not dataset.failed
    assert {one.recording.path.name: one.label.label for one in dataset.recordings} == {
        incident["file"]: "Anomaly",
        twin["file"]: "Normal",
    }
    assert _clip(*argv, *SMALL, "--json") == 0
    assert all(one["here_already"] for one in json.loads(capsys.readouterr().out)["clips"])


def test_a_still_is_set_in_motion_with_an_incident_where_it_is_asked_for(
    tmp_path: Path, still: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "clips"
    place = ("--at", "1", "--place", "0.4,0.7", "--tall", "0.4")
    assert (
        _clip("--still", str(still), "--incident", "flame", *place, "--out", str(out), *SMALL) == 0
    )
    assert "flame, 1.00 to 2.00 s" in capsys.readouterr().out
    record = read_sidecar(next(out.glob("*.mp4")))
    assert record.recipe.motion == "sway"
    assert record.recipe.placement is not None
    assert record.recipe.placement.foot == (0.4, 0.7)
    assert record.origin.backend == "file"
    assert record.usable_for == ("drill",)


def test_so_many_seeds_give_so_many_clips(tmp_path: Path, still: Path) -> None:
    argv = ("--still", str(still), "--incident", "none", "--count", "2", "--seed", "3")
    assert _clip(*argv, "--out", str(tmp_path), *SMALL) == 0
    seeds = sorted(read_sidecar(path).recipe.seed for path in tmp_path.glob("*.mp4"))
    assert seeds == [3, 4]


def test_a_painted_still_hands_its_origin_on(tmp_path: Path, still: Path) -> None:
    painted = {"synthetic": True, "backend": "diffusers", "model": "flux.1-schnell"}
    painted |= {
        "model_licence": "apache-2.0",
        "precision": "bf16",
        "seed": 4,
        "prompt_sha256": "ab",
    }
    still.with_suffix(".json").write_text(json.dumps(painted))
    out = tmp_path / "clips"
    assert _clip("--still", str(still), "--incident", "none", "--out", str(out), *SMALL) == 0
    origin = read_sidecar(next(out.glob("*.mp4"))).origin
    assert (origin.backend, origin.model, origin.seed) == ("diffusers", "flux.1-schnell", 4)


def test_a_still_of_a_model_that_forbids_surveillance_is_refused(
    tmp_path: Path, still: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painted = {"synthetic": True, "backend": "diffusers", "model": "flux.1-dev"}
    still.with_suffix(".json").write_text(json.dumps(painted))
    out = tmp_path / "clips"
    assert _clip("--still", str(still), "--incident", "none", "--out", str(out)) == 2
    assert "surveillance" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("--backend", "diffusers"), "scenes make"),
        (("--scene", "yard", "--incident", "impact"), "not in scene yard"),
        (("--incident", "earthquake"), "there are none"),
        (("--incident", "twin:earthquake"), "there are none"),
        (("--set", "--weather", "rain"), "leave out --weather"),
        (("--set", "--incident", "twin:flame"), "takes one kind"),
        (("--size", "33x20"), "33 pixels"),
        (("--scene", "yard", "--incident", "flame", "--at", "9"), "not within"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason_and_makes_nothing(
    tmp_path: Path, argv: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "clips"
    assert _clip(*argv, "--out", str(out)) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_labels_of_somebody_else_are_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "INDEX.csv").write_text("file,label\na.mp4,Normal\n")
    assert _clip("--incident", "none", "--out", str(tmp_path), *SMALL) == 2
    assert "another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["INDEX.csv"]


def test_a_still_that_is_no_picture_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "gate.jpg"
    broken.write_bytes(b"\xff\xd8 broken")
    assert _clip("--still", str(broken), "--out", str(tmp_path / "clips")) == 3
    assert "gate.jpg" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [("--size", "big"), ("--place", "3"), ("--count", "0")])
def test_an_argument_that_cannot_be_read_is_told(tmp_path: Path, wrong: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _clip("--out", str(tmp_path), *wrong)
    assert ended.value.code == 2
