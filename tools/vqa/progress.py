"""Progress of a task on a terminal: one bar for all questions to all engines."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edgewatch.pipeline.engines.wording import cleaned

_LONGEST = 40


class TaskProgress:
    """Draws on standard error while entered; draws nothing if it is not to be shown."""

    def __init__(self, questions: int, *, shown: bool) -> None:
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
        self._all = self._progress.add_task("questions", total=questions, detail="")

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
        self._progress.update(self._all, detail=escape(what))

    def known(self, questions: int) -> None:
        """Note questions that need not be asked."""
        self._progress.advance(self._all, questions)

    def replied(self, question: str, reply: str | None) -> None:
        """Note that a question is through."""
        said = "no reply" if reply is None else cleaned(reply, _LONGEST)
        self._progress.update(self._all, advance=1, detail=escape(f"{question}: {said}"))
