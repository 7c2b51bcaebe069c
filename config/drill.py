"""The section `[drill]`: fire drills, which rehearse the alarm on copies of live clips."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from edgewatch.config.rules import broken
from edgewatch.config.sections import Section

DrillKind = Literal[
    "auto",
    "impact",
    "fire",
    "smoke",
    "flame",
    "flood",
    "stopped_vehicle",
    "debris",
    "person_on_road",
    "fall",
]
"""What can be drawn into a camera's clips. What befalls the camera itself is told by its health."""


class Drill(Section):
    """`[drill]`: how, and when, cameras are drilled."""

    kind: DrillKind = "auto"
    """The incident; `auto`: a fire for a fixed camera, an impact for a vehicle's."""
    at: str | None = None
    """Local time of day of scheduled drills, "04:00"; None: drills are on request only."""
    every_days: Annotated[int, Field(ge=1, le=365)] = 7
    """Of each camera."""
    remind_after_days: Annotated[int, Field(ge=0, le=3650)] = 30
    """A camera that was not drilled for so long is pointed out; 0: never."""
    margin_seconds: Annotated[float, Field(ge=0.5, le=60)] = 5.0
    """What each link of the alarm gets beyond the time that it takes."""

    @field_validator("at")
    @classmethod
    def _at_is_a_time_of_day(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            broken("is no time of day", 'Write it as "04:00", from "00:00" to "23:59"')
        return value
