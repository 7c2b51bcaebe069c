"""What clips share, and what was rounded for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.config.sections import Clips, Engine
from edgewatch.config.settings import Settings
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.hops import Overlap, overlaps
from edgewatch.tools.settings_review import review


@pytest.mark.parametrize(
    ("clips", "frames", "hop", "shared"),
    [
        (Clips(), 20, 10, 0.5),
        (Clips(stride_seconds=5.0), 20, 20, 0.0),
        (Clips(stride_seconds=0.25), 20, 1, 0.9),
        (Clips(stride_seconds=1.7), 20, 6, 0.7),
        (Clips(fps=3.0, seconds=4.4), 14, 8, 6 / 14),
    ],
)
def test_hops_are_even_and_so_share_pairs(
    clips: Clips, frames: int, hop: int, shared: float
) -> None:
    one = Overlap(clips, ("door",))
    assert (one.frames, one.hop) == (frames, hop)
    assert one.shared == pytest.approx(shared)


def test_what_is_rounded_is_said() -> None:
    assert Overlap(Clips(), ()).rounding == ""
    said = Overlap(Clips(fps=3.0, seconds=4.4), ()).rounding
    assert "seconds = 4.4 at 3 fps, 13.2 frames, is taken as 14 (4.66667 s)" in said
    assert "stride_seconds = 2.5 at 3 fps, 7.5 frames, is taken as 8" in said


def test_cameras_that_are_cut_alike_are_told_together() -> None:
    other = Clips(seconds=4.0)
    found = overlaps([("door", Clips()), ("gate", other), ("hall", Clips())])
    assert [one.cameras for one in found] == [("door", "hall"), ("gate",)]


def native(clips: Clips, **engine: object) -> Settings:
    made = Engine.model_validate({"kind": "native", "model": Path("/models/tiny"), **engine})
    return Settings(engine=made, clips=clips)


def test_check_says_what_native_shares() -> None:
    def told(settings: Settings) -> list[tuple[str, str]]:
        return [(one.status, one.detail) for one in review(settings) if one.name == "clips"]

    assert "50% of the pairs" in told(native(Clips()))[0][1]
    assert "share none" in told(native(Clips(stride_seconds=5.0)))[0][1]
    status, detail = told(native(Clips(stride_seconds=1.7)))[0]
    assert status == "warn"
    assert "6.8 frames, is taken as 6" in detail
    assert told(native(Clips(), incremental=False)) == []
    assert told(Settings()) == []


def test_the_engine_is_made_with_these_settings() -> None:
    setup = engine_setup(
        native(Clips(), incremental=False, vision_cache_bytes=1000), baseline_dir=None
    )
    assert (setup.incremental, setup.vision_cache_bytes) == (False, 1000)
    plain = engine_setup(native(Clips()), baseline_dir=None)
    assert replace(EngineSetup(), incremental=plain.incremental) == EngineSetup()
    assert plain.vision_cache_bytes == EngineSetup().vision_cache_bytes
