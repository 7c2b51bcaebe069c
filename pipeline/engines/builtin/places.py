"""What is usual at each place of a fixed camera's picture: how it looks, which way things move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.builtin.appearance import CHANNELS, Look
from edgewatch.pipeline.engines.builtin.motion import MOVING_SPEED, Peak, Step, length

Floats = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]

_LOOKS = 16
_SAME = 0.15
_BLEND = 0.05
_FAMILIAR_TIMES = 3.0
_LOOK_DECAY = 0.998
_USUAL_RATE = 0.02

_DIRECTIONS = 8
_TRUSTED = 0.6
_KNOWN_STEPS = 40.0
_RARE = 0.03
_CELL_SHARE = 0.15
_DIRECTION_DECAY = 0.999


class FamiliarLooks:
    """For each cell of the picture the looks seen there, at most 16, the rarest replaced first."""

    def __init__(self, rows: int, columns: int) -> None:
        # Written and not only reserved (`zeros`): what a camera costs is then seen at its start,
        # instead of growing by a megabyte over its first hours
        self.looks = np.full((rows, columns, _LOOKS, CHANNELS), 0, np.float32)
        self.times = np.zeros((rows, columns, _LOOKS), np.float32)
        """How often each was seen, fading slowly."""
        self.usual = np.zeros((rows, columns), np.float32)
        """Distance to the nearest familiar look that is usual in each cell."""

    def measure(self, looks: Sequence[Look], seen: Booleans | None = None) -> tuple[Floats, Peak]:
        """Return the distance of each cell from what is familiar, and the clip's figure.

        `seen`: which cells are judged; None: all. The distance of the others is 0.
        The distance is the one that half of the clip's looks exceed: what is new must stay.
        """
        patches = np.stack([look.patches for look in looks]).astype(np.float32)
        known = self.times >= _FAMILIAR_TIMES
        alike = np.matmul(self.looks, patches.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
        nearest = np.where(known, alike, -np.inf).max(axis=3)
        known_cells = known.any(axis=2) if seen is None else known.any(axis=2) & seen
        distances = np.where(known_cells, 1.0 - nearest, 0.0)
        lasting = np.sort(distances, axis=0)[(len(looks) - 1) // 2].astype(np.float32)
        excess = np.maximum(lasting - self.usual, 0)
        row, column = np.unravel_index(int(np.argmax(excess)), excess.shape)
        rows, columns = excess.shape
        return lasting, Peak(
            float(excess[row, column]),
            (float(column) + 0.5) / columns,
            (float(row) + 0.5) / rows,
        )

    def forget(self, cells: Booleans) -> None:
        """Let go of what was seen in some cells: what is there now is to be got to know."""
        self.times[cells] = 0
        self.usual[cells] = 0

    def learn(self, look: Look, distances: Floats, seen: Booleans | None = None) -> None:
        """Take in one look of a normal clip; `distances`: what `measure` returned for the clip.

        In cells that are not judged (`seen`; None: all are) nothing is learnt.
        """
        patch = look.patches.astype(np.float32)
        alike = np.matmul(self.looks, patch[..., None])[..., 0]
        alike = np.where(self.times > 0, alike, -np.inf)
        best = alike.argmax(axis=2)
        same = 1.0 - alike.max(axis=2) < _SAME
        slot = np.where(same, best, self.times.argmin(axis=2))
        rows, columns = np.indices(slot.shape)
        kept = self.looks[rows, columns, slot]
        blended = np.where(same[..., None], (1 - _BLEND) * kept + _BLEND * patch, patch)
        blended /= np.linalg.norm(blended, axis=2, keepdims=True) + 1e-6
        self.looks[rows, columns, slot] = blended
        self.times *= _LOOK_DECAY
        times = np.where(same, self.times[rows, columns, slot], 0) + 1
        self.times[rows, columns, slot] = times if seen is None else times * seen
        self.usual += _USUAL_RATE * (np.minimum(distances, 3 * self.usual + 0.05) - self.usual)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Which way things move in each cell between two frames."""

    share: Floats
    """Of the cell that moves, as far as the flow can be trusted, (rows, columns)."""
    direction: npt.NDArray[np.intp]
    """0 (right) to 7, clockwise, (rows, columns)."""


class UsualDirections:
    """For each cell of the picture how often things moved in each of eight directions."""

    def __init__(self, rows: int, columns: int) -> None:
        self.seen = np.zeros((rows, columns, _DIRECTIONS), np.float32)

    def course(self, step: Step) -> Course:
        """Lay a step out on the cells."""
        rows, columns = self.seen.shape[:2]
        velocity = step.velocity.astype(np.float32)
        moving = (length(velocity) > MOVING_SPEED) & (step.trust > _TRUSTED)
        weight = moving.astype(np.float32)
        size = (columns, rows)
        share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        mean = cv2.resize(velocity * weight[..., None], size, interpolation=cv2.INTER_AREA)
        angle = np.arctan2(mean[..., 1], mean[..., 0]) / (2 * np.pi) * _DIRECTIONS
        direction = np.rint(angle).astype(np.intp) % _DIRECTIONS
        return Course(np.asarray(share, np.float32), direction)

    def measure(self, courses: Sequence[Course]) -> Peak | None:
        """Return how much of the picture moves in ways that are rare where it moves.

        The figure is that of the clip's second strongest step: one step may be a slip.
        """
        if len(courses) < 2:
            return None
        total = self.seen.sum(axis=2)
        around = self.seen + np.roll(self.seen, 1, axis=2) + np.roll(self.seen, -1, axis=2)
        rare = (total >= _KNOWN_STEPS)[..., None] & (around < _RARE * total[..., None])
        rows, columns = np.indices(total.shape)
        fields = [
            np.where(
                rare[rows, columns, course.direction] & (course.share > _CELL_SHARE),
                course.share,
                0.0,
            )
            for course in courses
        ]
        figures = [float(field.mean()) for field in fields]
        position = int(np.argsort(figures, kind="stable")[-2])
        row, column = np.unravel_index(int(np.argmax(fields[position])), total.shape)
        return Peak(
            figures[position],
            (float(column) + 0.5) / total.shape[1],
            (float(row) + 0.5) / total.shape[0],
            frame=position + 1,
        )

    def learn(self, courses: Sequence[Course]) -> None:
        """Take in the steps of a clip: of any, as what is rare stays rare unless it comes often."""
        rows, columns = np.indices(self.seen.shape[:2])
        for course in courses:
            self.seen[rows, columns, course.direction] += course.share > _CELL_SHARE
        self.seen *= _DIRECTION_DECAY
