"""Progress of a task on a terminal: one bar for all questions to all engines."""

from __future__ import annotations

from edgewatch.pipeline.engines.wording import cleaned
from edgewatch.tools.one_bar import OneBar

_LONGEST = 40


class TaskProgress(OneBar):
    """A bar of questions; beside it the last one and what was replied."""

    def __init__(self, questions: int, *, shown: bool) -> None:
        super().__init__("questions", questions, shown=shown)

    def known(self, questions: int) -> None:
        """Note questions that need not be asked."""
        self.advance(questions)

    def replied(self, question: str, reply: str | None) -> None:
        """Note that a question is through."""
        said = "no reply" if reply is None else cleaned(reply, _LONGEST)
        self.step(f"{question}: {said}")
        self.advance()
