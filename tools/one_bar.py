"""One bar on a terminal, with words beside it: the progress of what has a known end."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class OneBar:
    """Draws on standard error while entered; draws nothing if it is not to be shown."""

    def __init__(self, what: str, total: int, *, known: int = 0, shown: bool) -> None:
        """`what` is counted; `known`: how many of it were done in an earlier sitting."""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            # Words hold file names and replies, which are no mark-up whatever they look like.
            TextColumn("{task.fields[detail]}", markup=False),
            console=Console(stderr=True),
            transient=True,
            disable=not shown,
        )
        self._all = self._progress.add_task(what, total=total, completed=known, detail="")

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

    def advance(self, count: int = 1) -> None:
        """Note that so many more are done."""
        self._progress.advance(self._all, count)
