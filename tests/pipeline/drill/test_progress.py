"""From what a drill saw to what came of it: each link, by tables."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from edgewatch.pipeline.drill.facts import Facts
from edgewatch.pipeline.drill.limits import LONGEST_SECONDS, Limits, clips_wanted, limits_of
from edgewatch.pipeline.drill.progress import Progress, Score
from edgewatch.pipeline.drill.result import STAGES
from edgewatch.pipeline.errors import DrillRefused
from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.types import CameraName, Health, HealthState

LIMITS = Limits(subscribe=10.0, camera=8.0, engine=4.0, event=20.0, delivery=2.0)
CALM = Score(0.1, anomalous=False, shown=False)


def well(state: HealthState = "online", detail: str = "") -> Facts:
    return Facts(Health(CameraName("front"), state, 0.0, "", detail))


def progress(*stages: str, at: float = 0.0, scores: tuple[Score, ...] = ()) -> Progress:
    """One that has reached these stages, all at once."""
    made = Progress(LIMITS, EventRules(), threshold=0.5, started_seconds=0.0)
    for stage in stages:
        made.reach(stage, at)
    for score in scores:
        made.judged(score)
    return made


def shown(*scores: float) -> tuple[Score, ...]:
    return (CALM, *(Score(one, anomalous=one >= 0.5, shown=True) for one in scores))


@pytest.mark.parametrize(
    ("reached", "due"),
    [
        ((), 10.0),
        (STAGES[:1], 8.0),
        (STAGES[:2], 4.0),
        (STAGES[:3], 4.0),
        (STAGES[:4], 20.0),
        (STAGES[:5], 2.0),
        (STAGES[:6], 2.0),
        (STAGES[:7], 2.0),
    ],
)
def test_each_link_has_its_time_from_when_the_one_before_was_reached(
    reached: tuple[str, ...], due: float
) -> None:
    one = progress(*reached, scores=shown(0.9))
    assert one.due_seconds() == due
    assert one.decide(well(), due - 0.01) is None
    verdict = one.decide(well(), due)
    assert verdict is not None
    assert verdict.outcome == "failed"


DOWN = {"engine_state": "down", "engine_detail": "cuda error"}


@pytest.mark.parametrize(
    ("reached", "scores", "changes", "link", "words"),
    [
        (0, (), {}, "witness", "could not listen"),
        (0, (), {"publisher_connected": False}, "broker", "no connection"),
        (1, (), {}, "camera", "no clip of it came within 8 s"),
        (1, (), DOWN, "camera", "no clip"),
        (2, (), {"copying": False, "stuck_seconds": 4.0}, "engine", "no clip for 4 s"),
        (2, (), {"copying": False, **DOWN}, "engine", "the engine is down: cuda error"),
        (2, (), {}, "composing", "too long"),
        (3, (), {"live_waiting": 2}, "engine", "real ones waited"),
        (4, (CALM,), {}, "engine", "stuck"),
        (4, shown(0.2, 0.4), {}, "threshold", "the best of 2 clips with the incident scored 0.400"),
        (4, shown(0.2, 0.9), {}, "policy", "1 of 2 clips"),
        (4, shown(0.2, 0.9), DOWN, "engine", "down"),
        (5, shown(0.9), {"store_trouble": "disk full"}, "store", "disk full"),
        (5, shown(0.9), {"publisher_connected": False}, "store", "not saved in time"),
        (6, shown(0.9), {"publisher_connected": False}, "broker", "no connection"),
        (6, shown(0.9), {}, "outbox", "waits in the outbox"),
        (7, shown(0.9), {}, "witness", "did not pass it on"),
        (7, shown(0.9), {"witness_trouble": "cut off"}, "witness", "cut off"),
    ],
)
def test_what_is_late_names_the_link_that_broke(
    reached: int, scores: tuple[Score, ...], changes: dict[str, Any], link: str, words: str
) -> None:
    one = progress(*STAGES[:reached], scores=scores)
    verdict = one.decide(replace(well(), **changes), 1000.0)
    assert verdict is not None
    assert (verdict.outcome, verdict.link) == ("failed", link)
    assert words in verdict.sentence
    assert verdict.cure


@pytest.mark.parametrize("state", ["frozen", "dark", "covered", "offline", "connecting"])
@pytest.mark.parametrize("reached", [1, 3, 4])
def test_camera_that_nobody_can_see_by_is_named_before_all_behind_it(
    state: HealthState, reached: int
) -> None:
    verdict = progress(*STAGES[:reached]).decide(well(state, "do this"), 1000.0)
    assert verdict is not None
    assert (verdict.link, verdict.cure) == ("camera", "do this")


def test_a_witness_that_cannot_listen_fails_at_once() -> None:
    verdict = progress().decide(replace(well(), witness_trouble="not authorised"), 0.1)
    assert verdict is not None
    assert (verdict.link, "not authorised" in verdict.sentence) == ("witness", True)


def test_everything_reached_has_passed_however_late_it_is_looked_at() -> None:
    verdict = progress(*STAGES, scores=shown(0.9)).decide(well(), 1e9)
    assert verdict is not None
    assert (verdict.outcome, verdict.link) == ("passed", None)


def test_a_leak_fails_even_what_has_passed() -> None:
    verdict = progress(*STAGES).decide(replace(well(), leaks=1), 1.0)
    assert verdict is not None
    assert (verdict.outcome, verdict.link) == ("failed", "leak")


def test_what_is_real_breaks_it_off_without_a_verdict_on_the_alarm() -> None:
    verdict = progress(*STAGES[:4]).decide(replace(well(), interrupted_by="a real event"), 1.0)
    assert verdict is not None
    assert (verdict.outcome, verdict.link, verdict.sentence) == ("broken_off", None, "a real event")


def test_a_stage_counts_where_it_was_first_reached() -> None:
    one = progress("subscribed", at=1.0)
    assert not one.reach("subscribed", 5.0)
    assert one.stages == {"subscribed": 1.0}


def test_limits_are_the_sum_of_their_terms_and_bounded() -> None:
    wanted = partial(limits_of, p95_seconds=0.5, margin_seconds=5.0)
    limits = wanted(clip_seconds=5.0, stride_seconds=2.5, open_within=3)
    assert limits.terms == {
        "subscribe": 12.0,
        "camera": 15.0,
        "engine": 6.0,
        "event": 18.5,
        "delivery": 5.0,
    }
    assert limits.total == sum(limits.terms.values())
    assert clips_wanted(limits, 2.5) == 12
    with pytest.raises(DrillRefused, match=f"none may take more than {LONGEST_SECONDS:.0f} s"):
        wanted(clip_seconds=60.0, stride_seconds=60.0, open_within=100)
