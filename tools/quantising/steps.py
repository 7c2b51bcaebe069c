"""Steps of a long command: what is being done, how far it is, and how long each took."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from edgewatch.pipeline.clock import Clock

Advance = Callable[[int], None]


class Display(Protocol):
    """Where progress is shown."""

    def begin(self, name: str, total: int | None) -> None:
        """Begin a step; None: nobody knows how long it is."""

    def advance(self, count: int) -> None:
        """So much more of it is done."""

    def say(self, text: str) -> None:
        """Show a line that stays."""


class Steps:
    """Runs steps one after the other, and keeps their times."""

    def __init__(self, display: Display, clock: Clock) -> None:
        self.seconds: dict[str, float] = {}
        """Of each step, in the order of their first turn; a step that came again adds up."""
        self.say = display.say
        self._display = display
        self._clock = clock

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """Time and show a step. No step lies within another."""
        self._display.begin(name, total)
        started_seconds = self._clock.monotonic_seconds()
        try:
            yield self._display.advance
        finally:
            took_seconds = self._clock.monotonic_seconds() - started_seconds
            self.seconds[name] = self.seconds.get(name, 0.0) + took_seconds


class Silence:
    """Shows nothing."""

    def begin(self, name: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, count: int) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""


class Bar:
    """One bar on standard error, for the step at work; drawn on a terminal while entered."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            # What the libraries print meanwhile is caught elsewhere; a pipe is left alone.
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, name: str, total: int | None) -> None:
        """Begin a step's bar, in place of the last one's."""
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total)

    def advance(self, count: int) -> None:
        """Move the bar on."""
        self._progress.advance(self._task, count)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, soft_wrap=True, markup=False)
