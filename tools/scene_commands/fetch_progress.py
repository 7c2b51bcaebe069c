"""How far a fetch is, on standard error."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class FetchProgress:
    """Draws one bar for all files while entered; sentences stand above it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[file]}"),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("asking the hub", total=None, file="")

    def __enter__(self) -> FetchProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def plan(self, what: str, total_bytes: int, here_bytes: int) -> None:
        """Set the bar's length."""
        self._progress.update(self._task, description=what, total=total_bytes, completed=here_bytes)

    def file(self, path: str) -> None:
        """Name the file in hand."""
        self._progress.update(self._task, file=path)

    def advance(self, gained_bytes: int) -> None:
        """Move the bar."""
        self._progress.advance(self._task, gained_bytes)

    def note(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(text, markup=False, highlight=False)
