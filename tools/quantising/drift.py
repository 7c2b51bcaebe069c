"""Drift: how far a smaller checkpoint's scores are from the original's, on the same clips. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MOST_DRIFT = 0.05
"""Mean |change of P(anomaly)| beyond which a checkpoint is refused where nothing else is said.

A threshold that is as likely to stand anywhere falls between a clip's two scores with just the
probability of their distance, so the mean distance is the share of clips whose label changes: 0.05
lets at most one clip in twenty change sides. Two ways of making the same model smaller that differ
in 3 of 13 labels, as was published of FP4 and INT8, would be 0.23."""
FEW_CLIPS = 30


@dataclass(frozen=True, slots=True)
class Drift:
    """Scores of the same clips by two checkpoints, in order."""

    original: tuple[float, ...]
    made: tuple[float, ...]
    threshold: float
    simulated: str = ""
    """How the device imitates the format's arithmetic; empty where it has it."""

    def __post_init__(self) -> None:
        if len(self.original) != len(self.made):
            raise ValueError(f"{len(self.original)} and {len(self.made)} scores are no pairs")

    @property
    def distances(self) -> list[float]:
        """|change| of each clip that both could be read of."""
        pairs = zip(self.original, self.made, strict=True)
        return [abs(a - b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]

    @property
    def lost(self) -> int:
        """Clips to which the original has an answer and the smaller one none."""
        pairs = zip(self.original, self.made, strict=True)
        return sum(math.isfinite(a) and not math.isfinite(b) for a, b in pairs)

    @property
    def mean(self) -> float | None:
        """Of the distances; None if there are none."""
        distances = self.distances
        return math.fsum(distances) / len(distances) if distances else None

    @property
    def largest(self) -> float | None:
        """Of the distances; None if there are none."""
        return max(self.distances, default=None)

    @property
    def changed(self) -> int:
        """Clips on different sides of the threshold."""
        pairs = zip(self.original, self.made, strict=True)
        return sum(
            (a >= self.threshold) != (b >= self.threshold)
            for a, b in pairs
            if math.isfinite(a) and math.isfinite(b)
        )

    def refusal(self, most: float) -> str:
        """Why a checkpoint that drifts so is not to be used; empty if it is."""
        if self.lost:
            return (
                f"it gives no readable answer to {self.lost} of {len(self.original)} clips that "
                "the original answers"
            )
        if self.mean is None:
            return "no clip got an answer that could be compared"
        if self.mean > most:
            return (
                f"its scores drift by {self.mean:.4f} on average (at most {most:g} is allowed, "
                f"--most-drift), the most by {self.largest:.4f}, and {self.changed} of "
                f"{len(self.original)} clips change sides of the threshold {self.threshold:g}"
            )
        return ""


def drift_of(
    original: Sequence[float], made: Sequence[float], *, threshold: float, simulated: str = ""
) -> Drift:
    """Bring scores together. Raises ValueError if they are no pairs."""
    return Drift(tuple(original), tuple(made), threshold, simulated)
