"""A whole training, small: staged, measured by the engine, fitted, written, read and tried."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.tools.scene_commands.train_builtin import main, trained
from edgewatch.tools.training.combiner import Combiner
from edgewatch.tools.training.examples import Example
from edgewatch.tools.training.features import NAMES
from edgewatch.tools.training.measuring import measure
from edgewatch.tools.training.places import drawn_place
from edgewatch.tools.training.recipe import TrainingRecipe
from edgewatch.tools.training.staging import stage
from edgewatch.tools.training.training import Outcome, train

TINY = TrainingRecipe(
    name="tiny", drives=1, yards=2, corridors=0, walkways=0, pairs=1, cold_share=1.0,
    warm_seconds=5.0, episode_seconds=7.5, drawn_width=160, penalties=(10.0,), held_out=0.5,
)  # fmt: skip


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """Three cameras of 160 x 90, an incident and its twin each."""
    # An impact draws its drive anew, which takes a second: here something comes into the way.
    drive = drawn_place("drive")
    drive = replace(drive, kinds=tuple(kind for kind in drive.kinds if kind != "impact"))
    cameras = stage(TINY, [(drive, 1), (drawn_place("yard"), 2)])
    return asyncio.run(measure(cameras, TINY))


@pytest.fixture(scope="module")
def outcome(examples: list[Example]) -> Outcome:
    """What was trained on them."""
    return train(examples, TINY, {"walkway.mp4": "0" * 64})


def test_each_clip_has_its_features_and_its_part(examples: list[Example]) -> None:
    assert {one.role for one in examples} >= {"incident", "twin"}
    assert len({one.camera for one in examples}) == 3
    for one in examples:
        assert one.features.shape == (len(NAMES),)
        assert np.isfinite(one.features).all()
        assert np.isfinite(one.hand_set)
        own = [value for name, value in zip(NAMES, one.features, strict=True) if "own_" in name]
        assert one.warm or not any(own[: len(own) - 3])


def test_a_training_is_repeated_to_the_last_byte(examples: list[Example], outcome: Outcome) -> None:
    data = outcome.combiner.to_bytes()
    assert data == train(examples, TINY, {"walkway.mp4": "0" * 64}).combiner.to_bytes()
    made_of = Combiner.from_bytes(data).made_of
    assert TrainingRecipe.from_json(made_of["recipe"]) == TINY
    assert made_of["versions"]["numpy"] == np.__version__


def test_a_kind_of_camera_is_told_of_by_what_was_held_out(outcome: Outcome) -> None:
    by_kind = {kind.camera_kind: kind for kind in outcome.kinds}
    assert set(by_kind) == {"fixed", "driving"}
    assert by_kind["fixed"].held_out["combiner"][0].incidents == 1
    assert by_kind["driving"].held_out == {}, "one camera is trained on, none is left"


def test_a_recipe_is_followed_from_staging_to_weights(tmp_path: Path) -> None:
    recipe = replace(TINY, drives=0, yards=0, corridors=1)
    trained_on = trained(recipe, tmp_path / "no walkway is asked for", shown=False)
    assert set(trained_on.combiner.models) == {"fixed"}
    assert trained_on.combiner.made_of["sources"] == {}
    assert trained_on.kinds[0].cameras == 1


def test_without_incidents_nothing_is_fitted(examples: list[Example]) -> None:
    quiet = [one for one in examples if not one.positive]
    assert train(quiet, TINY, {}).kinds == ()


def test_a_walkway_that_is_not_there_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(SceneRefused, match="--drawn-only"):
        main(["--recipe", "full", "--walkway", str(tmp_path / "walkway.mp4")])


def test_weights_want_recordings_to_be_tried_on(tmp_path: Path) -> None:
    with pytest.raises(SceneRefused, match="--evaluate"):
        main(["--weights", str(tmp_path / "combiner.json")])


def test_weights_are_tried_on_labelled_recordings(
    outcome: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "combiner.json"
    weights.write_bytes(outcome.combiner.to_bytes())
    _record(tmp_path / "still.mp4")
    (tmp_path / "labels.csv").write_text("file,label,camera\nstill.mp4,Normal,fixed\n")
    assert main(["--weights", str(weights), "--evaluate", str(tmp_path), "--json"]) == 0
    trial = json.loads(capsys.readouterr().out)["trial"]
    assert [one["scorer"] for one in trial["figures"]] == ["hand-set", "combiner", "both"]
    assert all(one["auc"]["value"] is None for one in trial["figures"])
    assert trial["wins"]["combiner"] == {"wins": False, "why": "fixed: cannot be told"}


def _record(path: Path) -> None:
    """Write six seconds in which nothing happens."""
    picture = np.full((96, 160, 3), 90, np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for _ in range(24):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
