"""The truth file: one line of JSON a picture, which says what it shows and where.

`{"f": 30, "t": 2.0, "label": "debris", "boxes": [{"id": 1, "cls": "debris", "xyxy": [x0, y0, x1,
y1], "vis": 1.0}], "mask_rle": {...}, "camera": {"M": [[...], [...]]}}`. `label` is "normal" where
nothing is wrong; a harmless twin's pictures are normal, have no box, and still a mask. A box is the
smallest that holds the mask, right and lower edge excluded. `mask_rle`: see `rle`. `camera`: see
`path`; null where the camera has no path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.scenes.clips.rle import mask_of, runs_of
from edgewatch.pipeline.scenes.truth import FrameTruth, Mask

NORMAL = "normal"


@dataclass(frozen=True, slots=True, eq=False)
class TruthLine:
    """One line, read."""

    index: int
    time_seconds: float
    label: str
    boxes: tuple[tuple[float, float, float, float], ...]
    mask: Mask | None

    @property
    def anomalous(self) -> bool:
        """Whether an incident is going on."""
        return self.label != NORMAL


def line_of(index: int, truth: FrameTruth, camera: Mapping[str, Any] | None) -> str:
    """Write one line, its end included."""
    boxes = []
    if truth.kind is not None and truth.mask is not None and truth.mask.any():
        boxes = [{"id": 1, "cls": truth.kind, "xyxy": list(_box(truth.mask)), "vis": 1.0}]
    line = {
        "f": index,
        "t": round(truth.time_seconds, 6),
        "label": truth.kind or NORMAL,
        "boxes": boxes,
        "mask_rle": None if truth.mask is None else runs_of(truth.mask),
        "camera": camera,
    }
    return json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n"


def read_truth(path: Path, size: tuple[int, int]) -> Iterator[TruthLine]:
    """Read a truth file of pictures of `size` (width, height).

    Raises SceneInvalid, naming the line; OSError.
    """
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            try:
                yield _read(text, size)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise SceneInvalid(f"{path.name}, line {number}: is no truth: {error}") from error
            except SceneInvalid as error:
                raise SceneInvalid(f"{path.name}, line {number}: {error}") from error


def _read(text: str, size: tuple[int, int]) -> TruthLine:
    said = json.loads(text)
    boxes = tuple(_checked_box(one["xyxy"], size) for one in said["boxes"])
    runs = said["mask_rle"]
    mask = None if runs is None else mask_of(runs, size)
    return TruthLine(int(said["f"]), float(said["t"]), str(said["label"]), boxes, mask)


def _checked_box(said: Any, size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(edge) for edge in said)
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        raise SceneInvalid(f"box {said} is not within {size[0]}x{size[1]}")
    return left, top, right, bottom


def _box(mask: Mask) -> tuple[float, float, float, float]:
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
