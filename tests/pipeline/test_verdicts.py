"""Answers held against thresholds."""

from __future__ import annotations

import math
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.errors import AnswerUnreadable
from edgewatch.pipeline.ids import uuid7
from edgewatch.pipeline.types import Answer, Evidence
from edgewatch.pipeline.verdicts import verdict_of
from tests.fakes.clips import make_clip


@given(st.floats(0, 1), st.floats(0, 1))
def test_at_or_above_the_threshold_is_an_anomaly(score: float, threshold: float) -> None:
    verdict = verdict_of(
        make_clip(10.0), Answer(score), threshold=threshold, engine="e", now_seconds=0.0
    )
    assert verdict.anomalous == (score >= threshold)


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.01, 1.01])
def test_what_is_no_probability_is_no_verdict(score: float) -> None:
    with pytest.raises(AnswerUnreadable, match="fake-9"):
        verdict_of(make_clip(1.0), Answer(score), threshold=0.5, engine="fake-9", now_seconds=0)


def test_verdict_carries_the_clips_time_and_the_answers_reasons() -> None:
    clip = make_clip(100.0, frames=20, captured_seconds=7.0)
    reason = Evidence("impact", 0.8, "left", "3 times")
    verdict = verdict_of(
        clip, Answer(0.7, (reason,), warming_up=True), threshold=0.5, engine="e", now_seconds=7.25
    )
    assert (verdict.start_seconds, verdict.end_seconds) == (100.0, 105.0)
    assert (verdict.media_start_seconds, verdict.media_end_seconds) == (0.0, 5.0)
    assert verdict.latency_ms == 250.0
    assert verdict.evidence == (reason,)
    assert verdict.warming_up


@given(st.floats(0, 4e9), st.integers(0, 2**74 - 1))
def test_event_ids_are_uuids_of_version_7_with_their_time(seconds: float, bits: int) -> None:
    uuid = UUID(uuid7(seconds, bits))
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert uuid.int >> 80 == round(seconds * 1000)


def test_event_ids_sort_by_time_and_differ() -> None:
    ids = [uuid7(1000.0 + n) for n in range(20)]
    assert ids == sorted(ids)
    assert uuid7(5.0) != uuid7(5.0)
