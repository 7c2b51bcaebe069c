from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.tools.labels import RecordingLabel, Window
from edgewatch.tools.timeline import MAX_TICKS, Span, draw, tick_seconds
from tests.tools.replays import a_result, a_verdict

UNIT = st.floats(0.0, 1.0)


def test_neighbours_share_their_overlap_and_cover_the_recording() -> None:
    timeline = draw(a_result("a.mp4", [0.0, 1.0, 0.25], pictures=False), max_steps=100)
    assert timeline is not None
    # Windows 0-5, 2.5-7.5 and 5-10 of 10 seconds.
    assert [step.span for step in timeline.steps] == [
        Span(0, 37.5),
        Span(37.5, 25),
        Span(62.5, 37.5),
    ]
    assert timeline.line == "M0 100H37.5V0H62.5V75H100"
    assert timeline.threshold_y == 50.0


def test_footage_that_was_not_judged_interrupts_the_line() -> None:
    verdicts = (a_verdict(0.0, 0.2), a_verdict(15.0, 0.4))
    result = replace(a_result("a.mp4", [0.1], pictures=False), verdicts=verdicts)
    timeline = draw(result, max_steps=100)
    assert timeline is not None
    assert timeline.line == "M0 80H25M75 60H100"


def test_events_and_labelled_windows_lie_where_they_are() -> None:
    label = RecordingLabel("Anomaly", "fixed", (Window(2.0, 6.0),))
    result = a_result("a.mp4", [0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1], label=label, pictures=False)
    timeline = draw(result, max_steps=100)
    assert timeline is not None
    assert timeline.windows == (Span(10.0, 20.0),)
    assert timeline.events == (Span(0.0, 37.5),)


def test_recording_without_verdict_has_no_timeline() -> None:
    assert draw(a_result("a.mp4", []), max_steps=100) is None


@given(st.lists(UNIT, min_size=1, max_size=60), st.integers(1, 20))
def test_thinning_keeps_every_peak_within_its_step_and_the_whole_width(
    scores: list[float], max_steps: int
) -> None:
    result = a_result("a.mp4", scores, pictures=False)
    timeline = draw(result, max_steps=max_steps)
    assert timeline is not None
    assert len(timeline.steps) <= max_steps
    assert timeline.thinned == (len(scores) > max_steps)
    assert max(step.verdict.score for step in timeline.steps) == max(scores)
    assert sum(step.span.width for step in timeline.steps) == pytest.approx(100, abs=0.1)
    assert timeline.line.count("M") == 1


@given(st.floats(0.1, 30 * 86_400.0))
def test_ticks_are_few_start_at_zero_and_stay_inside(total_seconds: float) -> None:
    ticks = tick_seconds(total_seconds)
    assert ticks[0] == 0
    assert 1 <= len(ticks) <= MAX_TICKS
    assert ticks[-1] <= total_seconds
