"""What an engine counts of its own work since its model was started. Pure."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """Of a model that keeps what it saw; all 0 where it keeps nothing.

    A sight is what the vision tower made of one pair of frames of one camera.
    """

    sight_hits: int = 0
    """Pairs of asked clips whose sight was there: from an earlier clip, or seen beforehand."""
    sight_misses: int = 0
    """Pairs of asked clips that had to be seen."""
    sight_foreseen: int = 0
    """Pairs that were seen before any clip with them was asked about."""
    sight_forgone: int = 0
    """Pairs that were to be seen beforehand and were not: clips came first."""
    sight_evicted: int = 0
    """Sights given up for newer ones, for want of room."""
    sight_bytes: int = 0
    """Held now, on the device."""
    words_tokens: int = 0
    """Written, of all descriptions."""
    words_continued: int = 0
    """Descriptions that went on from what their clip's score was read from."""
    words_bytes: int = 0
    """Held now for descriptions, on the device: what suspects were read as, and the room to write
    in."""

    @property
    def sight_hit_rate(self) -> float | None:
        """Share of asked pairs whose sight was there; None before the first."""
        asked = self.sight_hits + self.sight_misses
        return self.sight_hits / asked if asked else None

    def __add__(self, other: EngineFigures) -> EngineFigures:
        """Return those of two models side by side."""
        return EngineFigures(
            *(one + two for one, two in zip(astuple(self), astuple(other), strict=True))
        )
