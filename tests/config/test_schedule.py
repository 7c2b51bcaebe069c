from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.config.schedule import DAYS, Schedule, Window

MONDAY = datetime(2026, 6, 1)
MINUTES = st.integers(0, 7 * 24 * 60 - 1).map(lambda minute: MONDAY + timedelta(minutes=minute))


def test_without_windows_every_moment_is_covered() -> None:
    assert Schedule.parse(()).covers(MONDAY)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("Mon-Fri 08:00-18:00", "Mon 08:00", "Mon 07:59"),
        ("Mon-Fri 08:00-18:00", "Fri 17:59", "Fri 18:00"),
        ("mon-fri 8:00 - 18:00", "Wed 12:00", "Sat 12:00"),
        ("Sat,Sun 22:00-06:00", "Mon 05:59", "Mon 06:00"),
        ("Sat, Sun 22:00-06:00", "Sat 22:00", "Sat 05:00"),
        ("Fri-Mon 10:00-24:00", "Sun 23:59", "Tue 10:00"),
        ("07:00-19:00", "Thu 07:00", "Thu 19:00"),
        ("Sun", "Sun 00:00", "Mon 00:00"),
    ],
)
def test_a_window_covers_its_hours_on_its_days(text: str, inside: str, outside: str) -> None:
    window = Window.parse(text)
    assert window.covers(_moment(inside))
    assert not window.covers(_moment(outside))


@pytest.mark.parametrize(
    "text",
    ["", "Mon-Fry 08:00-18:00", "Mon 8-18", "Mon 25:00-26:00", "Mon 08:00-08:00", "Mon 24:00-06:00",
     "Mon 08:60-09:00", "Mon 08:00-24:01", "Mon, 08:00-09:00"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|are no|holds a|starts and ends"):
        Window.parse(text)


@given(text=st.text(max_size=30))
def test_no_text_makes_the_parser_fail_otherwise(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert Window.parse(text).days


@settings(max_examples=20)
@given(day=st.sampled_from(DAYS), start=st.integers(0, 1439), end=st.integers(0, 1440))
def test_a_window_covers_as_many_minutes_as_it_is_long(day: str, start: int, end: int) -> None:
    if start == end:
        return
    window = Window.parse(f"{day} {start // 60}:{start % 60:02}-{end // 60}:{end % 60:02}")
    week = (MONDAY + timedelta(minutes=minute) for minute in range(7 * 1440))
    assert sum(window.covers(moment) for moment in week) == (end - start) % 1440 or end - start


@given(moment=MINUTES)
def test_a_schedule_covers_what_any_of_its_windows_covers(moment: datetime) -> None:
    texts = ("Mon-Wed 08:00-18:00", "Tue 17:00-03:00")
    assert Schedule.parse(texts).covers(moment) == any(
        Window.parse(text).covers(moment) for text in texts
    )


def _moment(text: str) -> datetime:
    day, _, clock = text.partition(" ")
    hour, minute = (int(part) for part in clock.split(":"))
    return MONDAY + timedelta(days=DAYS.index(day.lower()), hours=hour, minutes=minute)
