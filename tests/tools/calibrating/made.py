"""Labelled scores made by hand or by chance, for the tests of calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.tuning import Scores
from edgewatch.tools.calibrating.labelled import Clips, Labelled, Series

Floats = npt.NDArray[np.float64]
CLIP_SECONDS = 5.0


def series(
    name: str,
    kind: Literal["normal", "incident", "unknown"],
    scores: Sequence[float],
    truth: Sequence[float] | None = None,
    *,
    windows: Sequence[tuple[float, float]] = (),
    group: str = "",
) -> Series:
    """A recording of clips of 5 s, end to end; without `truth` all are of its kind."""
    ends = np.arange(1, len(scores) + 1, dtype=np.float64) * np.float64(CLIP_SECONDS)
    known = [1.0 if kind == "incident" else 0.0] * len(scores) if truth is None else truth
    return Series(
        name,
        group or name,
        kind,
        Scores(ends - CLIP_SECONDS, ends, np.array(scores, np.float64)),
        np.array(known, np.float64),
        tuple(windows),
    )


def sigmoid(line: Floats) -> Floats:
    value: Floats = 1.0 / (1.0 + np.exp(-line))
    return value


def chance(
    recordings: int,
    clips: int,
    *,
    slope: float = 1.0,
    offset: float = 0.0,
    seed: int = 1,
    of_recording: float = 0.0,
) -> Labelled:
    """Every other recording has incidents; truth is drawn from a line of the scores' logit.

    Clips are dealt to recordings after that, so all together are just as the line says.
    `of_recording`: spread of what each recording adds to its scores' logit, telling of nothing.
    """
    rng = np.random.default_rng(seed)
    line = rng.normal(0.0, 2.0, recordings * clips)
    truth = (rng.random(len(line)) < sigmoid(slope * line + offset)).astype(np.float64)
    place = rng.integers(0, recordings, len(line))
    place[truth == 1.0] &= ~1
    line = line + rng.normal(0.0, of_recording, recordings)[place]
    made = [
        series(
            f"r{number:03d}",
            "normal" if number % 2 else "incident",
            sigmoid(line[place == number]).tolist(),
            truth[place == number].tolist(),
        )
        for number in range(recordings)
    ]
    return Labelled(tuple(made), "fake-1", "made by chance")


def clips_of(score: Sequence[float], truth: Sequence[float], group: Sequence[int]) -> Clips:
    return Clips(np.array(score, float), np.array(truth, float), np.array(group, np.int64))
