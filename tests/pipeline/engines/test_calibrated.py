from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edgewatch.config.settings import load_settings
from edgewatch.pipeline.engine_setup import calibration_file, engine_setup, questions_of
from edgewatch.pipeline.engines import create_engine
from edgewatch.pipeline.engines.builtin import BuiltinEngine
from edgewatch.pipeline.engines.calibrated import CalibratedEngine
from edgewatch.pipeline.engines.calibration import Calibration, question_hash
from edgewatch.pipeline.engines.calibration_file import write_calibration
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import EngineFailed
from tests.fakes.clips import FRONT, make_clip
from tests.fakes.engine import FakeEngine

PLATT = Calibration("platt", "fake-1", slope=0.7, offset=-1.5)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "cal.json"
    write_calibration(PLATT, file)
    return file


def setup_of(file: Path, *, named: bool = True, asked: tuple[str, ...] = ()) -> EngineSetup:
    return EngineSetup(calibration=file, calibration_named=named, asked=asked)


def damage(file: Path) -> None:
    file.write_text("{}")


async def test_scores_are_calibrated_and_the_name_says_so(file: Path) -> None:
    engine = CalibratedEngine(FakeEngine(lambda clip: 0.8), setup_of(file))
    assert engine.name == "fake-1"
    await engine.start()
    engine.instruct(FRONT, "Fire?")
    (answer,) = await engine.judge([make_clip(1.0)])
    assert answer.score == PLATT.apply(0.8)
    assert engine.name == PLATT.name
    assert (engine.max_batch, engine.batches_in_flight) == (4, 1)
    assert engine.simulated == ""


async def test_an_answer_that_is_none_stays_none(file: Path) -> None:
    engine = CalibratedEngine(FakeEngine(lambda clip: math.nan), setup_of(file))
    await engine.start()
    engine.instruct(FRONT, "Fire?")
    (answer,) = await engine.judge([make_clip(1.0)])
    assert math.isnan(answer.score)


async def test_everything_else_is_the_engines_own(file: Path) -> None:
    fake = FakeEngine()
    fake.memories["front-1.000"] = b"known"
    engine = CalibratedEngine(fake, setup_of(file))
    await engine.start()
    engine.instruct(FRONT, "Fire?")
    clip = make_clip(1.0)
    assert await engine.describe(clip) == "something odd in front-1.000"
    memory = await engine.memory_of(FRONT, "front-1.000")
    assert memory == b"known"
    await engine.recall(FRONT, memory)
    with pytest.raises(ValueError, match="another engine's"):
        await engine.recall(FRONT, b"strange")
    await engine.forget(FRONT)
    await engine.close()
    assert (fake.prompts, fake.recalled) == ({FRONT: "Fire?"}, {FRONT: b"known"})
    assert (fake.forgotten, fake.closed) == ([FRONT], 1)


async def test_a_named_file_of_another_engine_refuses_the_start(file: Path) -> None:
    write_calibration(replace(PLATT, engine="fake-0"), file)
    fake = FakeEngine()
    engine = CalibratedEngine(fake, setup_of(file))
    with pytest.raises(EngineFailed, match=r"cal\.json: this calibration was fitted on scores of"):
        await engine.start()
    assert (fake.started, fake.closed) == (1, 1)


async def test_a_named_file_that_is_damaged_is_told_before_a_model_is_loaded(file: Path) -> None:
    damage(file)
    fake = FakeEngine()
    with pytest.raises(EngineFailed, match="cannot be used"):
        await CalibratedEngine(fake, setup_of(file)).start()
    assert fake.started == 0


@pytest.mark.parametrize("damaged", [False, True])
async def test_a_file_found_that_does_not_fit_is_left_aside_with_a_warning(
    file: Path, damaged: bool
) -> None:
    write_calibration(replace(PLATT, engine="fake-0"), file)
    if damaged:
        damage(file)
    engine = CalibratedEngine(FakeEngine(lambda clip: 0.8), setup_of(file, named=False))
    with capture_logs() as logs:
        await engine.start()
    engine.instruct(FRONT, "Fire?")
    (answer,) = await engine.judge([make_clip(1.0)])
    assert (answer.score, engine.name, engine.calibration) == (0.8, "fake-1", None)
    assert engine.calibration_trouble is not None
    assert [one["event"] for one in logs] == ["calibration is left aside"]
    assert str(file) in logs[0]["reason"]


async def test_a_camera_that_asks_something_else_later_is_logged_once(file: Path) -> None:
    setup = EngineSetup(calibration=file, calibration_named=True)
    known = question_hash("Fire?", setup.form)
    write_calibration(replace(PLATT, questions=(known,)), file)
    engine = CalibratedEngine(FakeEngine(), replace(setup, asked=(known,)))
    await engine.start()
    with capture_logs() as logs:
        for prompt in ("Fire?", "Smoke?", "Smoke?"):
            engine.instruct(FRONT, prompt)
    assert [one["event"] for one in logs] == ["calibration was fitted for another question"]


async def test_another_question_refuses_the_start(file: Path) -> None:
    write_calibration(replace(PLATT, questions=("a",)), file)
    with pytest.raises(EngineFailed, match="another question"):
        await CalibratedEngine(FakeEngine(), setup_of(file, asked=("b",))).start()


async def test_a_calibration_that_changes_nothing_changes_no_name(file: Path) -> None:
    write_calibration(Calibration("none", "fake-1"), file)
    engine = CalibratedEngine(FakeEngine(lambda clip: 0.8), setup_of(file))
    await engine.start()
    engine.instruct(FRONT, "Fire?")
    (answer,) = await engine.judge([make_clip(1.0)])
    assert (answer.score, engine.name) == (0.8, "fake-1")


class TestSettings:
    def settings(self, folder: Path, engine: str = "") -> EngineSetup:
        toml = folder / "edgewatch.toml"
        toml.write_text(f'[service]\ndata_dir = "data"\n[engine]\n{engine}')
        return engine_setup(load_settings(toml, {}), baseline_dir=None)

    def test_auto_takes_the_file_in_its_usual_place_if_it_is_there(self, tmp_path: Path) -> None:
        assert self.settings(tmp_path).calibration is None
        assert isinstance(create_engine(self.settings(tmp_path)), BuiltinEngine)
        file = tmp_path / "data" / "edgewatch-calibration.json"
        write_calibration(PLATT, file)
        setup = self.settings(tmp_path)
        assert (setup.calibration, setup.calibration_named) == (file, False)
        assert isinstance(create_engine(setup), CalibratedEngine)

    def test_none_takes_none(self, tmp_path: Path) -> None:
        write_calibration(PLATT, tmp_path / "data" / "edgewatch-calibration.json")
        assert self.settings(tmp_path, 'calibration = "none"').calibration is None

    def test_a_named_file_is_relative_to_the_settings_and_must_be_there(
        self, tmp_path: Path
    ) -> None:
        setup = self.settings(tmp_path, 'calibration = "mine.json"')
        assert (setup.calibration, setup.calibration_named) == (tmp_path / "mine.json", True)

    def test_a_models_calibration_lies_beside_its_weights(self, tmp_path: Path) -> None:
        toml = tmp_path / "edgewatch.toml"
        toml.write_text('[engine]\nkind = "transformers"\nmodel = "m"\nprompt = "Fire?"')
        settings = load_settings(toml, {})
        assert calibration_file(settings) == tmp_path / "m" / "edgewatch-calibration.json"
        form = engine_setup(settings, baseline_dir=None).form
        assert questions_of(settings, ["Fire?"]) == (question_hash("Fire?", form),)

    async def test_the_real_engine_is_calibrated(self, tmp_path: Path) -> None:
        """The built-in one, started and asked about a grey clip with the file and without."""
        write_calibration(
            replace(PLATT, engine="builtin-1"), tmp_path / "data" / "edgewatch-calibration.json"
        )
        scores = {}
        for said in ("auto", "none"):
            engine = create_engine(self.settings(tmp_path, f'calibration = "{said}"'))
            await engine.start()
            try:
                (answer,) = await engine.judge([make_clip(1.0, replay=True)])
            finally:
                await engine.close()
            scores[said] = answer.score, "+cal@" in engine.name
        assert scores["auto"] == (PLATT.apply(scores["none"][0]), True)
        assert not scores["none"][1]
