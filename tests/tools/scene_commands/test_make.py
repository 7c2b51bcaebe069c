from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.setup import SceneSetup
from edgewatch.pipeline.scenes.still_file import pixels_sha256, png_bytes, png_texts, rounded
from edgewatch.pipeline.types import Pixels
from edgewatch.tools.scene_commands.make import main
from edgewatch.tools.scenes import main as scenes
from tests.fakes.scene_engine import FakeSceneEngine, landscape

PROMPT = "a road with secret words"


def black(_prompt: str, _seed: int, size: tuple[int, int]) -> SceneImage:
    return np.zeros((size[1], size[0], 3), np.float32)


def decoded(png: bytes) -> Pixels:
    found = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGB).astype(np.uint8)


class Makes:
    """Hands out engines and keeps them, with what they were made of."""

    def __init__(self, *engines: FakeSceneEngine) -> None:
        self.engines, self.setups = list(engines), list[SceneSetup]()

    def __call__(
        self, setup: SceneSetup, on_part: Callable[[str, int, int], None]
    ) -> FakeSceneEngine:
        engine = self.engines[len(self.setups)]
        self.setups.append(setup)
        engine.listen(on_part)
        return engine


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    config = tmp_path / "edgewatch.toml"
    config.write_text("", "utf-8")
    return [PROMPT, "--config", str(config), "--size", "160x96", "--out", str(tmp_path / "out")]


def test_pictures_and_sidecars_are_written_and_say_that_they_are_synthetic(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeSceneEngine()
    more = ["--backend", "diffusers", "--seed", "3", "--count", "2", "--json"]
    assert main([*options, *more], make_engine=Makes(engine)) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["seed"] for row in document["made"]] == [3, 4]
    assert engine.closed
    for row in document["made"]:
        png = (tmp_path / "out" / row["file"]).read_bytes()
        assert png_texts(png)["synthetic"] == "true"
        assert hashlib.sha256(png).hexdigest() == row["sha256"]
        pixels = decoded(png)
        assert np.array_equal(pixels, rounded(landscape(PROMPT, row["seed"], (160, 96))))
        assert row["pixels_sha256"] == pixels_sha256(pixels)
        sidecar = (tmp_path / "out" / row["file"]).with_suffix(".json").read_text()
        assert json.loads(sidecar) == row
        assert "secret" not in sidecar
        assert b"secret" not in png
        assert row["prompt_sha256"] == hashlib.sha256(PROMPT.encode()).hexdigest()
        facts = (row["model"], row["model_licence"], row["precision"], row["steps"])
        assert facts == ("flux.1-schnell", "apache-2.0", "bf16", 4)
        assert row["made_by"] == {"arithmetic": "by hand"}
        assert row["synthetic"] is True
        assert row["usable_for"] == ["drill"]


def test_what_is_no_picture_is_not_kept(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options, make_engine=Makes(FakeSceneEngine(black))) == 3
    assert list((tmp_path / "out").iterdir()) == []
    assert "seed 0 cannot be used: it is flat" in capsys.readouterr().err
    more = ["--no-content-check"]
    assert main([*options, *more], make_engine=Makes(FakeSceneEngine(black))) == 0
    nan = FakeSceneEngine(lambda *order: black(*order) * np.float32(np.nan))
    assert main([*options, *more], make_engine=Makes(nan)) == 3


def test_one_bad_picture_does_not_spoil_the_others(options: list[str], tmp_path: Path) -> None:
    engine = FakeSceneEngine(fails={1: SceneInvalid("seed 1 gave NaN")})
    assert main([*options, "--count", "3"], make_engine=Makes(engine)) == 3
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


def test_seeds_without_effect_are_noticed(options: list[str], tmp_path: Path) -> None:
    engine = FakeSceneEngine(lambda prompt, _seed, size: landscape(prompt, 0, size))
    assert main([*options, "--count", "2"], make_engine=Makes(engine)) == 3
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


def test_a_lower_precision_is_held_against_bf16_and_one_engine_is_there_at_a_time(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--backend", "diffusers", "--precision", "fp8", "--against-bf16", "--json"]
    twin = FakeSceneEngine()
    near = FakeSceneEngine(lambda *order: landscape(*order) + np.float32(0.01))
    makes = Makes(twin, near)
    assert main([*options, *more], make_engine=makes) == 0
    assert [setup.precision for setup in makes.setups] == ["bf16", "fp8"]
    assert twin.closed
    (row,) = json.loads(capsys.readouterr().out)["made"]
    assert row["bf16_twin"]["psnr_db"] == pytest.approx(40, abs=0.5)
    other = FakeSceneEngine(lambda prompt, seed, size: landscape(prompt, seed + 1, size))
    assert main([*options, *more], make_engine=Makes(FakeSceneEngine(), other)) == 3
    assert "too far from its bf16 twin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(SceneRefused("no room"), 2), (SceneUnavailable("no torch"), 4)]
)
def test_an_engine_that_cannot_start_leaves_nothing(
    options: list[str], tmp_path: Path, error: SceneRefused | SceneUnavailable, code: int
) -> None:
    engine = FakeSceneEngine(fails_to_start=error)
    with pytest.raises(type(error)):
        main(options, make_engine=Makes(engine))
    assert engine.closed
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("wrong", [["--count", "0"], ["--seed", "-1"], ["--count", "5000"]])
def test_orders_without_sense_are_refused(options: list[str], wrong: list[str]) -> None:
    with pytest.raises(SceneRefused):
        main([*options, *wrong], make_engine=Makes(FakeSceneEngine()))
    with pytest.raises(SceneRefused, match="prompt"):
        main([" ", *options[1:]], make_engine=Makes(FakeSceneEngine()))


def test_a_model_that_is_not_there_is_one_line_and_an_exit_code(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the dispatcher, with the real child: the licence is asked for first."""
    more = ["--backend", "diffusers", "--dir", str(tmp_path / "models")]
    assert scenes(["make", *options, *more]) == 2
    error = capsys.readouterr().err
    assert "licence" in error
    assert "Traceback" not in error


def test_png_keeps_pixels_and_texts() -> None:
    pixels = rounded(landscape("x", 1, (33, 21)))
    png = png_bytes(pixels, {"synthetic": "true", "note": "x" * 300})
    assert png_texts(png) == {"synthetic": "true", "note": "x" * 300}
    assert np.array_equal(decoded(png), pixels)
    with pytest.raises(SceneInvalid, match="NaN"):
        rounded(np.full((4, 4, 3), np.nan, np.float32))
