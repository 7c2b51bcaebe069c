from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.store import Store
from edgewatch.pipeline.timeline import SINGLE_SCORES_SECONDS, Grid
from edgewatch.pipeline.types import CameraName, ScoreBucket
from tests.fakes.clips import FRONT, make_verdict

NOON = 1_800_000_000.0
DAY = 86_400.0


@pytest.fixture
def store() -> Iterator[Store]:
    with Store(None) as opened:
        yield opened


class TestScores:
    def test_scores_are_those_of_clips_that_end_in_time(self, store: Store) -> None:
        store.save_verdicts([make_verdict(NOON + number, 0.1 * number) for number in range(4)])
        store.save_verdicts([make_verdict(NOON + 1, 0.9, camera=CameraName("gate"))])
        assert store.scores(FRONT, NOON + 1, NOON + 3) == [
            (NOON + 1, 0.1, 0.5),
            (NOON + 2, 0.2, 0.5),
        ]
        assert store.score_spans(FRONT, NOON, NOON + 1) == [(NOON - 5.0, NOON, 0.0, 0.5)]


class TestTimeline:
    def test_a_bucket_sums_up_what_ends_in_it(self, store: Store) -> None:
        store.save_verdicts(
            [
                make_verdict(NOON + 1, 0.2),
                make_verdict(NOON + 9, 0.6, threshold=0.7),
                make_verdict(NOON + 25, 0.4),
            ]
        )
        first, second = store.timeline(FRONT, NOON, NOON + 30, 3)
        assert first == ScoreBucket(NOON, NOON + 10, 0.6, 0.2, first.mean, 0.7, 2)
        assert first.mean == pytest.approx(0.4)
        assert (second.start_seconds, second.clips, second.mean) == (NOON + 20, 1, 0.4)

    def test_a_long_timeline_is_cut_at_whole_minutes(self, store: Store) -> None:
        store.save_verdicts([make_verdict(NOON + 30 * number, 0.1) for number in range(20)])
        buckets = store.timeline(FRONT, NOON - DAY + 17, NOON + 617, 144)
        assert sum(one.clips for one in buckets) == 20
        assert {one.start_seconds % 60 for one in buckets} == {0.0}
        assert {one.end_seconds - one.start_seconds for one in buckets} == {660.0}

    def test_minutes_survive_a_restart_and_go_with_their_verdicts(self, tmp_path: Path) -> None:
        with Store(tmp_path / "edgewatch.db") as store:
            store.save_verdicts([make_verdict(NOON, 0.3), make_verdict(NOON + DAY, 0.4)])
        with Store(tmp_path / "edgewatch.db") as store:
            store.save_verdicts([make_verdict(NOON + 1, 0.5)])
            day = store.timeline(FRONT, NOON - 60, NOON + DAY, 24)
            assert [(one.highest, one.lowest, one.clips) for one in day] == [(0.5, 0.3, 2)]
            store.prune(records_before_seconds=NOON + 60, events_before_seconds=0.0)
            left = store.timeline(FRONT, NOON - 60, NOON + 2 * DAY, 24)
            assert [one.highest for one in left] == [0.4]

    def test_score_that_is_no_number_spoils_no_minute(self, store: Store) -> None:
        store.save_verdicts([make_verdict(NOON, math.nan), make_verdict(NOON + 1, 0.2)])
        for until in (NOON + 60, NOON + DAY):
            (bucket,) = store.timeline(FRONT, NOON, until, 24)
            assert (bucket.highest, bucket.clips) == (0.2, 1)

    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 5 * 3_600_000), st.floats(0, 1)),
            max_size=40,
            unique_by=lambda one: one[0],
        ),
        st.integers(1, 400),
        st.sampled_from([600.0, SINGLE_SCORES_SECONDS, 5 * 3600.0]),
    )
    def test_every_clip_is_in_one_bucket_that_holds_its_score(
        self, clips: list[tuple[int, float]], buckets: int, length: float
    ) -> None:
        with Store(None) as store:
            store.save_verdicts([make_verdict(NOON + ms / 1000, score) for ms, score in clips])
            found = store.timeline(FRONT, NOON, NOON + length, buckets)
        assert len(found) <= buckets
        inside = [(NOON + ms / 1000, score) for ms, score in clips if ms < length * 1000]
        assert sum(one.clips for one in found) == len(inside)
        for at, score in inside:
            homes = [
                one
                for one in found
                if one.start_seconds - 1e-3 <= at < one.end_seconds + 1e-3
                and one.lowest <= score <= one.highest
            ]
            assert homes

    @pytest.mark.parametrize(("until", "buckets"), [(NOON, 5), (NOON - 1, 5), (NOON + 1, 0)])
    def test_no_time_or_no_bucket_is_an_error(self, until: float, buckets: int) -> None:
        with pytest.raises(ValueError, match="needs time"):
            Grid.of(NOON, until, buckets)
