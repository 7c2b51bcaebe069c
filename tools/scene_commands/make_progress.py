"""Progress of `scenes make`, on a terminal: the part at work, and how many pictures are done."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

OnPart = Callable[[str, int, int], None]

_WORDS = {"denoise": "step", "decode": "decoding"}


class MakeProgress:
    """Draws on standard error while entered; nothing where that is no terminal."""

    def __init__(self, pictures: int, what: str = "pictures") -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(what, total=pictures, detail="")

    def __enter__(self) -> MakeProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def on_part(self, part: str, done: int, of: int) -> None:
        """Say what is being done: a network loaded, a step taken."""
        if part in _WORDS:
            detail = f"{_WORDS[part]} {done} of {of}" if of > 1 else _WORDS[part]
        else:
            detail = f"loading {part}" if done < of else ""
        self._progress.update(self._task, detail=detail)

    def made(self, seed: int) -> None:
        """One picture more, of a seed."""
        self._progress.update(self._task, advance=1, detail=f"seed {seed} done")
