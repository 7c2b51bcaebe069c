from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.tools.times import joined, parse_time

ZONE = timezone(timedelta(hours=13, minutes=45))
"""No machine that runs these tests is likely to be there: its own zone must not matter."""
NOW = datetime(2026, 11, 21, 14, 30, 15, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("-90s", NOW - timedelta(seconds=90)),
        ("-0.5s", NOW - timedelta(seconds=0.5)),
        ("-5m", NOW - timedelta(minutes=5)),
        ("-2h", NOW - timedelta(hours=2)),
        ("-7d", NOW - timedelta(days=7)),
        ("14:05", NOW.replace(minute=5, second=0)),
        ("9:05:07", NOW.replace(hour=9, minute=5, second=7)),
        ("2026-11-20", NOW.replace(day=20, hour=0, minute=0, second=0)),
        ("2026-11-20T08:00", NOW.replace(day=20, hour=8, minute=0, second=0)),
        ("2026-11-21 14:30:15.5", NOW.replace(microsecond=500_000)),
        ("2026-11-20T08:00:00Z", datetime.fromisoformat("2026-11-20T08:00:00+00:00")),
        ("2026-11-20T08:00:00+02:00", datetime.fromisoformat("2026-11-20T06:00:00+00:00")),
    ],
)  # fmt: skip
def test_a_time_is_what_a_person_means(text: str, meant: datetime) -> None:
    assert parse_time(text, NOW.timestamp(), ZONE) == meant.timestamp()


@pytest.mark.parametrize("text", ["", "5m", "-5", "-5w", "25:00", "12:60", "yesterday"])
def test_what_is_no_time_is_refused_with_the_cure(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no time: write ISO 8601 .*-90s, -5m, -2h"):
        parse_time(text, NOW.timestamp(), ZONE)


@given(moment=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)))
def test_a_time_with_its_zone_is_read_as_written(moment: datetime) -> None:
    aware = moment.replace(tzinfo=ZONE)
    assert parse_time(aware.isoformat(), 0.0, None) == aware.timestamp()


def test_a_clock_here_is_the_clock_of_this_machine() -> None:
    noon = datetime(2026, 7, 1, 12)
    assert parse_time("08:00", noon.timestamp()) == datetime(2026, 7, 1, 8).timestamp()
    assert parse_time("2026-01-01", noon.timestamp()) == datetime(2026, 1, 1).timestamp()


def test_a_time_ago_may_follow_its_option() -> None:
    assert joined(["--since", "-5m", "--json"]) == ["--since=-5m", "--json"]
    assert joined(["--camera", "front", "-5m"]) == ["--camera", "front", "-5m"]
    assert joined(["--since", "12:00"]) == ["--since", "12:00"]
