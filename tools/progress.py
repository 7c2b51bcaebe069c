"""Progress of a replay, on a terminal: a bar for each recording at work, and one for all."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from edgewatch.pipeline.errors import EdgewatchError
from edgewatch.pipeline.types import CameraName, Clip, SourceInfo, Verdict
from edgewatch.pipeline.watch import Observer


class ReplayProgress(Observer):
    """Draws on standard error while entered."""

    def __init__(self, recordings: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._all = self._progress.add_task("recordings", total=recordings, detail="")
        self._tasks: dict[CameraName, TaskID] = {}
        self._clips = 0

    def __enter__(self) -> ReplayProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def on_info(self, camera: CameraName, info: SourceInfo) -> None:
        """Begin a recording's bar."""
        if camera not in self._tasks:
            self._tasks[camera] = self._progress.add_task(
                camera, total=info.duration_seconds, detail=""
            )

    def on_verdict(self, clip: Clip, verdict: Verdict) -> None:
        """Move on to the end of the clip."""
        self._clips += 1
        detail = f"{verdict.label} {verdict.score:.2f}"
        if (task := self._tasks.get(verdict.camera)) is not None:
            self._progress.update(task, completed=verdict.media_end_seconds, detail=detail)
        self._progress.update(self._all, detail=f"{self._clips} clips")

    def on_end(self, camera: CameraName, error: EdgewatchError | None) -> None:
        """Take a finished recording's bar away."""
        if (task := self._tasks.pop(camera, None)) is not None:
            self._progress.remove_task(task)
        self._progress.advance(self._all)
