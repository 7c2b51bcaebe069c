"""What is usual at each place of a fixed camera's picture: how it looks, which way things move."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.builtin.appearance import CHANNELS, Look
from edgewatch.pipeline.engines.builtin.motion import MOVING_SPEED, Peak, Step

Floats = npt.NDArray[np.float32]

_LOOKS = 16
_SAME = 0.15
_BLEND = 0.05
_FAMILIAR_TIMES = 3.0
_LOOK_DECAY = 0.998
_USUAL_RATE = 0.02

_DIRECTIONS = 8
_KNOWN_STEPS = 40.0
_RARE = 0.05
_CELL_SHARE = 0.15
_DIRECTION_DECAY = 0.999


class FamiliarLooks:
    """For each cell of the picture the looks seen there, at most 16, the rarest replaced first."""

    def __init__(self, rows: int, columns: int) -> None:
        self.looks = np.zeros((rows, columns, _LOOKS, CHANNELS), np.float16)
        self.times = np.zeros((rows, columns, _LOOKS), np.float32)
        """How often each was seen, fading slowly."""
        self.usual = np.zeros((rows, columns), np.float32)
        """Distance to the nearest familiar look that is usual in each cell."""

    def measure(self, looks: Sequence[Look]) -> tuple[Floats, Peak]:
        """Return the distance of each cell from what is familiar, and the clip's figure.

        The distance is the one that half of the clip's looks exceed: what is new must stay.
        """
        patches = np.stack([look.patches for look in looks]).astype(np.float32)
        known = self.times >= _FAMILIAR_TIMES
        alike = np.einsum("rckd,nrcd->nrck", self.looks.astype(np.float32), patches)
        nearest = np.where(known, alike, -np.inf).max(axis=3)
        distances = np.where(known.any(axis=2), 1.0 - nearest, 0.0)
        lasting = np.sort(distances, axis=0)[(len(looks) - 1) // 2].astype(np.float32)
        excess = np.maximum(lasting - self.usual, 0)
        row, column = np.unravel_index(int(np.argmax(excess)), excess.shape)
        rows, columns = excess.shape
        return lasting, Peak(
            float(excess[row, column]),
            (float(column) + 0.5) / columns,
            (float(row) + 0.5) / rows,
        )

    def learn(self, look: Look, distances: Floats) -> None:
        """Take in one look of a normal clip; `distances`: what `measure` returned for the clip."""
        patch = look.patches.astype(np.float32)
        alike = np.einsum("rckd,rcd->rck", self.looks.astype(np.float32), patch)
        alike = np.where(self.times > 0, alike, -np.inf)
        best = alike.argmax(axis=2)
        same = 1.0 - alike.max(axis=2) < _SAME
        slot = np.where(same, best, self.times.argmin(axis=2))
        rows, columns = np.indices(slot.shape)
        kept = self.looks[rows, columns, slot].astype(np.float32)
        blended = np.where(same[..., None], (1 - _BLEND) * kept + _BLEND * patch, patch)
        blended /= np.linalg.norm(blended, axis=2, keepdims=True) + 1e-6
        self.looks[rows, columns, slot] = blended.astype(np.float16)
        self.times *= _LOOK_DECAY
        self.times[rows, columns, slot] = np.where(same, self.times[rows, columns, slot], 0) + 1
        self.usual += _USUAL_RATE * (np.minimum(distances, 3 * self.usual + 0.05) - self.usual)


class UsualDirections:
    """For each cell of the picture how often things moved in each of eight directions."""

    def __init__(self, rows: int, columns: int) -> None:
        self.seen = np.zeros((rows, columns, _DIRECTIONS), np.float32)

    def measure(self, steps: Sequence[Step]) -> Peak | None:
        """Return how much of the picture moves in ways that are rare where it moves.

        The figure is that of the clip's second strongest step: one step may be a slip.
        """
        if len(steps) < 2:
            return None
        total = self.seen.sum(axis=2)
        fields = []
        for step in steps:
            share, direction = self._cells(step)
            near = sum(
                np.take_along_axis(self.seen, ((direction + turn) % _DIRECTIONS)[..., None], 2)
                for turn in (-1, 0, 1)
            )
            rare = (total >= _KNOWN_STEPS) & (np.asarray(near)[..., 0] < _RARE * total)
            fields.append(np.where(rare & (share > _CELL_SHARE), share, 0.0))
        figures = np.array([field.mean() for field in fields])
        position = int(np.argsort(figures, kind="stable")[-2])
        field = fields[position]
        row, column = np.unravel_index(int(np.argmax(field)), field.shape)
        return Peak(
            float(figures[position]),
            (float(column) + 0.5) / field.shape[1],
            (float(row) + 0.5) / field.shape[0],
            frame=position + 1,
        )

    def learn(self, steps: Sequence[Step]) -> None:
        """Take in the steps of a normal clip."""
        rows, columns = np.indices(self.seen.shape[:2])
        for step in steps:
            share, direction = self._cells(step)
            self.seen[rows, columns, direction] += share > _CELL_SHARE
        self.seen *= _DIRECTION_DECAY

    def _cells(self, step: Step) -> tuple[Floats, npt.NDArray[np.intp]]:
        """Return for each cell the share that moves and the direction, 0 to 7, it moves in."""
        rows, columns = self.seen.shape[:2]
        velocity = step.velocity.astype(np.float32)
        moving = (np.linalg.norm(velocity, axis=2) > MOVING_SPEED).astype(np.float32)
        size = (columns, rows)
        share = cv2.resize(moving, size, interpolation=cv2.INTER_AREA)
        mean = cv2.resize(velocity * moving[..., None], size, interpolation=cv2.INTER_AREA)
        angle = np.arctan2(mean[..., 1], mean[..., 0]) / (2 * np.pi) * _DIRECTIONS
        return np.asarray(share, np.float32), np.rint(angle).astype(np.intp) % _DIRECTIONS
