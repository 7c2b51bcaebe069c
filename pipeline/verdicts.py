"""An engine's answer held against a camera's threshold."""

from __future__ import annotations

import math

from edgewatch.pipeline.errors import AnswerUnreadable
from edgewatch.pipeline.types import Answer, Clip, Verdict


def verdict_of(
    clip: Clip, answer: Answer, *, threshold: float, engine: str, now_seconds: float
) -> Verdict:
    """Make the verdict of a clip; `now_seconds` is the monotonic time at which it is known.

    A score at or above the threshold is an Anomaly. Raises AnswerUnreadable if the score is no
    probability: a NaN compares as "below" and would pass for Normal for ever.
    """
    if not (math.isfinite(answer.score) and 0.0 <= answer.score <= 1.0):
        raise AnswerUnreadable(f"{engine} gave the score {answer.score!r}, not a probability")
    return Verdict(
        clip_id=clip.clip_id,
        camera=clip.camera,
        label="Anomaly" if answer.score >= threshold else "Normal",
        score=answer.score,
        threshold=threshold,
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
        media_start_seconds=clip.media_start_seconds,
        media_end_seconds=clip.media_end_seconds,
        engine=engine,
        latency_ms=max(0.0, (now_seconds - clip.captured_seconds) * 1000.0),
        evidence=answer.evidence,
        warming_up=answer.warming_up,
        uncertain=answer.uncertain,
        prompt_hash=answer.prompt_hash,
        replay=clip.replay,
    )
