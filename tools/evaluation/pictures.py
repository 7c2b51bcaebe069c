"""Which clips a report shows a picture of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgewatch.tools.evaluation.evaluation import EngineRun, Picture

DIFFERING_A_RECORDING = 3
MOST_PICTURES = 400
"""In one report, so that it can still be opened."""


def wanted_clips(scores: Sequence[Sequence[float]], thresholds: Sequence[float]) -> list[int]:
    """Return the numbers of a recording's clips to keep a picture of.

    `scores`: of each engine, one a clip. Each engine's worst clip, and those on whose label
    engines differ, the most different scores first.
    """
    worst = [max(range(len(one)), key=lambda clip: (one[clip], -clip)) for one in scores if one]
    return sorted({*worst, *_differing(scores, thresholds)[:DIFFERING_A_RECORDING]})


def _differing(scores: Sequence[Sequence[float]], thresholds: Sequence[float]) -> list[int]:
    spread = []
    for clip, given in enumerate(zip(*scores, strict=True)):
        labels = {score >= limit for score, limit in zip(given, thresholds, strict=True)}
        if len(labels) > 1:
            spread.append((min(given) - max(given), clip))
    return [clip for _, clip in sorted(spread)]


def pictures_of(
    runs: Sequence[EngineRun], thumbnails: Mapping[str, Mapping[int, bytes]]
) -> tuple[Picture, ...]:
    """Return the pictures of an evaluation, in the order of recordings.

    `thumbnails`: by recording and number of the clip. Of more than MOST_PICTURES, those on which
    engines differ go first, then the worst clips of recordings that were judged wrongly.
    """
    ranked: list[tuple[int, float, int, int]] = []
    thresholds = [run.threshold for run in runs]
    for place, first in enumerate(runs[0].recordings):
        views = [run.recordings[place] for run in runs]
        scores = [[clip.score for clip in one.clips] for one in views]
        differing = set(_differing(scores, thresholds))
        wrong = any(
            (one.peak_score >= limit) != (one.label == "Anomaly")
            for one, limit in zip(views, thresholds, strict=True)
        )
        for clip in wanted_clips(scores, thresholds):
            if clip in thumbnails.get(first.name, {}):
                rank = 0 if clip in differing else 1 if wrong else 2
                ranked.append((rank, -max(one[clip] for one in scores), place, clip))
    kept = sorted((place, clip) for _, _, place, clip in sorted(ranked)[:MOST_PICTURES])
    found = []
    for place, clip in kept:
        recording = runs[0].recordings[place]
        about = recording.clips[clip]
        jpeg = thumbnails[recording.name][clip]
        found.append(Picture(recording.name, about.clip_id, about.start_seconds, jpeg))
    return tuple(found)
