"""A clip as a few pictures, for models that know no video: which frames, and what is said. Pure."""

from __future__ import annotations

from dataclasses import replace

from edgewatch.pipeline.engines.question import Question


def chosen_frames(count: int, most: int | None) -> list[int]:
    """Return the indexes of at most `most` of a clip's `count` frames, evenly spread.

    Each is the middle of an equal part of the clip, as the families' own samplers choose them
    (InternVL's `initial_shift`); None: all frames.
    """
    if most is None or count <= most:
        return list(range(count))
    return [int((2 * part + 1) * count / (2 * most)) for part in range(most)]


def about_pictures(question: Question, count: int, seconds_apart: float) -> Question:
    """Say in the question that the model sees pictures of a video, how many, and when."""
    if count == 1:
        said = "You see one picture, from the middle of a video."
    else:
        said = (
            f"You see {count} pictures of one video, in order of time, "
            f"{seconds_apart:.1f} seconds apart."
        )
    return replace(question, user=f"{said}\n\n{question.user}")


def seconds_apart(indexes: list[int], fps: float) -> float:
    """Return the mean time between chosen frames; 0 for a single one."""
    if len(indexes) < 2:
        return 0.0
    return (indexes[-1] - indexes[0]) / (len(indexes) - 1) / fps
