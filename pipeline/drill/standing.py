"""The standing of a camera: what its last fire drill says of it, and whether one is due. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edgewatch.pipeline.drill.result import DrillResult

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What pages, metrics and `check` tell of a camera's drills; equal ones look the same."""

    last: DrillResult | None
    """The newest; None: there was none yet."""
    passed_seconds: float | None
    """Unix time of the newest that passed."""
    days: int | None
    """Whole days since the newest; None: there was none."""
    overdue: bool
    """It is longer ago than the settings allow."""

    @property
    def failed(self) -> bool:
        """Whether the newest failed."""
        return self.last is not None and not self.last.passed

    @property
    def words(self) -> str:
        """Say it in one line; empty where there is nothing to be said."""
        if self.last is None:
            return "Never drilled" if self.overdue else ""
        day = f"{datetime.fromtimestamp(self.last.started_seconds):%Y-%m-%d}"
        if self.failed:
            return f"Fire drill of {day} failed: {self.last.link}"
        if self.overdue:
            return f"Not drilled for {self.days} days"
        return f"Fire drill of {day} passed"


def standing_of(
    last: DrillResult | None,
    *,
    passed_seconds: float | None,
    known_seconds: float | None,
    now_seconds: float,
    remind_after_days: int,
) -> Standing:
    """Say how a camera stands. All times are Unix times.

    `known_seconds`: since when there are records of it, None: there are none; one that was never
    drilled is reminded of after the same time. `remind_after_days` 0: nobody is reminded.
    """
    since_seconds = known_seconds if last is None else last.started_seconds
    ago_seconds = 0.0 if since_seconds is None else max(0.0, now_seconds - since_seconds)
    return Standing(
        last=last,
        passed_seconds=passed_seconds,
        days=None if last is None else int(ago_seconds // DAY_SECONDS),
        overdue=0 < remind_after_days * DAY_SECONDS <= ago_seconds,
    )
