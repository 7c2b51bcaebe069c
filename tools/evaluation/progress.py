"""Progress of an evaluation on a terminal: one bar for all recordings, one for the one dealt."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edgewatch.pipeline.types import Clip
from edgewatch.tools.evaluation.dataset import LabelledRecording


class EvaluationProgress:
    """Draws on standard error while entered; draws nothing if it is not to be shown."""

    def __init__(self, recordings: int, *, known: int, shown: bool) -> None:
        """`known`: recordings that were judged in an earlier sitting."""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}"),
            console=Console(stderr=True),
            transient=True,
            disable=not shown,
        )
        self._all = self._progress.add_task(
            "recordings", total=recordings, completed=known, detail=""
        )
        self._clips = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def step(self, what: str) -> None:
        """Say what is being done."""
        self._progress.update(self._all, detail=what)

    def clip(self, recording: LabelledRecording, clip: Clip) -> None:
        """Note that a clip was handed to the engines."""
        self._clips += 1
        detail = f"{recording.name} {clip.media_end_seconds:.0f} s, {self._clips} clips"
        self._progress.update(self._all, detail=detail)

    def done(self) -> None:
        """Note that a recording is through."""
        self._progress.advance(self._all)
