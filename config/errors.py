"""What is wrong with a configuration: every problem found, each with its cure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. No part of it ever holds a secret."""

    place: str
    """The file, environment variable or argument that says it."""
    key: str
    """As a person would look for it: `[mqtt] port`; empty where the file itself is the trouble."""
    wrong: str
    cure: str

    def __str__(self) -> str:
        where = f"{self.place}: {self.key}" if self.key else self.place
        return f"{where}: {self.wrong}. {self.cure}"


class ConfigError(Exception):
    """What a person configured is wrong (exit 78); the text says where, and the cure.

    Made of problems, which become one line each, or of a text where there is but one to tell.
    """

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        if isinstance(problems, str):
            self.problems: tuple[Problem, ...] = ()
            super().__init__(problems)
            return
        self.problems = tuple(problems)
        count = len(self.problems)
        title = (
            "the settings have a problem" if count == 1 else f"the settings have {count} problems"
        )
        super().__init__("\n".join([f"{title}:", *(f"  {problem}" for problem in self.problems)]))
