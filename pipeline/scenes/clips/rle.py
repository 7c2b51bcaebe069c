"""Run lengths: a mask as text, exactly.

`{"size": [height, width], "counts": [n0, n1, n2, ...]}`: pixels row by row from the top left; n0 of
them are outside the mask (0 if the first is inside), the next n1 inside, and so on in turn. The
counts add up to height x width; none but the first is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.scenes.truth import Mask


def runs_of(mask: Mask) -> dict[str, list[int]]:
    """Write a mask, bool, shape (height, width)."""
    flat = np.ascontiguousarray(mask).reshape(-1)
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], turns, [flat.size]])
    counts = np.diff(edges).tolist()
    if flat.size and flat[0]:
        counts = [0, *counts]
    return {"size": list(mask.shape), "counts": counts}


def mask_of(said: Mapping[str, Any], size: tuple[int, int]) -> Mask:
    """Read a mask of `size` (width, height). Raises SceneInvalid if it is of another or broken."""
    try:
        height, width = (int(side) for side in said["size"])
        counts = np.asarray(said["counts"], np.int64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SceneInvalid(f"mask: no run lengths: {error}") from error
    if (width, height) != size:
        raise SceneInvalid(f"mask: is {width}x{height}, the pictures are {size[0]}x{size[1]}")
    wrong = counts.ndim != 1 or (counts < 0).any() or (counts[1:] == 0).any()
    if wrong or int(counts.sum()) != width * height:
        raise SceneInvalid("mask: run lengths do not add up to the picture")
    inside = np.arange(counts.size) % 2 == 1
    return np.repeat(inside, counts).reshape(height, width)
