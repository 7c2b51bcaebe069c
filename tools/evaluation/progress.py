"""Progress of an evaluation on a terminal: one bar for all recordings."""

from __future__ import annotations

from edgewatch.pipeline.types import Clip
from edgewatch.tools.evaluation.dataset import LabelledRecording
from edgewatch.tools.one_bar import OneBar


class EvaluationProgress(OneBar):
    """A bar of recordings; beside it the clip that was handed to the engines last."""

    def __init__(self, recordings: int, *, known: int, shown: bool) -> None:
        """`known`: recordings that were judged in an earlier sitting."""
        super().__init__("recordings", recordings, known=known, shown=shown)
        self._clips = 0

    def clip(self, recording: LabelledRecording, clip: Clip) -> None:
        """Note that a clip was handed to the engines."""
        self._clips += 1
        self.step(f"{recording.name} {clip.media_end_seconds:.0f} s, {self._clips} clips")

    def done(self) -> None:
        """Note that a recording is through."""
        self.advance()
