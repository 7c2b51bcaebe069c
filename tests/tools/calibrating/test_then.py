from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.config.settings import Settings
from edgewatch.pipeline.engines.calibrated import CalibratedEngine
from edgewatch.pipeline.engines.calibration import Calibration, ChosenThreshold, Counts
from edgewatch.pipeline.engines.calibration_file import write_calibration
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.tools.calibrating.checked import calibration_findings
from edgewatch.tools.calibrating.then import as_then, calibration_words
from tests.fakes.engine import FakeEngine

OLD = Calibration("platt", "fake-1", slope=0.7, offset=-1.5)
NEW = replace(OLD, offset=-2.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The new one in force, the old one kept."""
    file = tmp_path / "edgewatch-calibration.json"
    write_calibration(OLD, file)
    write_calibration(NEW, file)
    return file


class TestThen:
    def test_what_was_judged_without_is_judged_again_without(self, file: Path) -> None:
        setup, note = as_then(EngineSetup(calibration=file), file, "fake-1")
        assert setup.calibration is None
        assert note.startswith("the event was judged before its engine was calibrated")
        assert as_then(EngineSetup(), file, "fake-1") == (EngineSetup(), "")

    def test_what_was_judged_so_is_judged_again_so(self, file: Path) -> None:
        setup = EngineSetup(calibration=file)
        assert as_then(setup, file, NEW.name) == (setup, "")

    def test_an_earlier_calibration_is_found_again(self, file: Path) -> None:
        setup, note = as_then(EngineSetup(calibration=file), file, OLD.name)
        assert setup.calibration is not None
        assert OLD.hash in setup.calibration.name
        assert note == f"the event was judged under calibration {OLD.hash}, and so it is again"
        setup, _ = as_then(EngineSetup(), file, NEW.name)
        assert setup.calibration == file

    def test_a_calibration_that_is_gone_is_said_to_be(self, file: Path) -> None:
        setup = EngineSetup(calibration=file)
        same, note = as_then(setup, file, "fake-1+cal@01234567")
        assert same == setup
        assert "calibration 01234567, whose file is gone: scores must differ" in note

    def test_names_that_differ_by_the_calibration_alone_are_told_so(self) -> None:
        told = calibration_words("fake-1", OLD.name)
        assert told.startswith("the same engine, fake-1, judged it uncalibrated then and with ")
        assert OLD.hash in told
        assert calibration_words("a", "b") == "then it was judged by a, now by b"
        assert NEW.hash in calibration_words(NEW.name, OLD.name)


class TestCheck:
    async def findings(self, file: Path) -> list[tuple[str, str, str]]:
        engine = CalibratedEngine(FakeEngine(), EngineSetup(calibration=file))
        await engine.start()
        return [
            (one.status, one.detail, one.cure) for one in calibration_findings(engine, Settings())
        ]

    async def test_what_is_in_force_is_told(self, file: Path) -> None:
        write_calibration(replace(OLD, counts=Counts(17, 9)), file)
        assert await self.findings(file) == [
            ("ok", "fitted on 17 recordings, 9 with an incident", "")
        ]

    async def test_a_file_left_aside_is_a_warning_with_its_cure(self, file: Path) -> None:
        write_calibration(replace(OLD, engine="fake-0"), file)
        ((status, detail, cure),) = await self.findings(file)
        assert (status, "fake-1 judges" in detail) == ("warn", True)
        assert cure == ('Fit it again (edgewatch calibrate), or set [engine] calibration = "none".')

    async def test_a_threshold_other_than_the_chosen_one_is_a_warning(self, file: Path) -> None:
        chosen = ChosenThreshold(0.3, "recall", 0.9, 0.92, 0.8, 0.99, supported=False)
        write_calibration(replace(OLD, chosen=chosen), file)
        _, (status, detail, cure) = await self.findings(file)
        assert (status, detail) == ("warn", "0.5 is set, 0.3 was chosen with this calibration")
        assert cure == "Set [engine] threshold = 0.3, unless it was changed on purpose."

    def test_an_engine_without_a_file_needs_no_word(self) -> None:
        assert list(calibration_findings(FakeEngine(), Settings())) == []
