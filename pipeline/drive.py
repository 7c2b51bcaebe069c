"""A drive: recordings of a folder, and which of them go on where the one before ended. Pure."""

from __future__ import annotations

from edgewatch.pipeline.recordings import named_seconds
from edgewatch.pipeline.types import SourceInfo

SEAM_SECONDS = 1.5
"""Recorders name files by the second and lose, or repeat, a few pictures between two of them."""


class Drive:
    """Tells of each recording whether it goes on where the one before it ended."""

    def __init__(self) -> None:
        self._named_until_seconds: float | None = None
        self._recorded_until_seconds: float | None = None

    def goes_on(self, name: str, info: SourceInfo) -> bool:
        """Take the next recording; `name`: its file name.

        Known by the times in both names or, where one has none, by those that the files tell.
        """
        starts = named_seconds(name), info.started_seconds
        untils = self._named_until_seconds, self._recorded_until_seconds
        self._named_until_seconds, self._recorded_until_seconds = (
            None
            if start is None or info.duration_seconds is None
            else start + info.duration_seconds
            for start in starts
        )
        for start, until in zip(starts, untils, strict=True):
            if start is not None and until is not None:
                return abs(start - until) <= SEAM_SECONDS
        return False
