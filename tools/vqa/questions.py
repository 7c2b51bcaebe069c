"""Questions about pictures: what is asked about which picture, and what is right. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

TaskName = Literal["vqav2", "mme", "ai2d"]
TASKS: tuple[TaskName, ...] = ("vqav2", "mme", "ai2d")
Wording = Literal["official", "upstream"]
WORDINGS: tuple[Wording, ...] = ("official", "upstream")
"""How questions are put: as the data set's own tools do, or as TensorRT-LLM's eval.py does."""


class PictureSource(Protocol):
    """Where a picture comes from; see `pictures` and `columns`."""

    @property
    def name(self) -> str:
        """For people, and what tells it from the data set's other pictures."""

    @property
    def fingerprint(self) -> str:
        """Tells it from a changed one without reading it. Raises OSError if it is gone."""

    def content(self) -> bytes:
        """Return the file's bytes. Raises OSError."""

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What is written over it before it is shown."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A letter in a white box, written over a part of a diagram."""

    letter: str
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class PictureQuestion:
    """One question."""

    id: str
    """Unique in the data set."""
    picture: PictureSource
    question: str
    """As the data set has it."""
    asked: str
    """As the model is asked it."""
    references: tuple[str, ...]
    """The answers that people gave (VQAv2: ten), or the right one."""
    kinds: tuple[tuple[str, str], ...] = ()
    """What figures are also taken apart by: (("answer type", "yes/no"), ...)."""
    options: tuple[str, ...] = ()
    """Of a multiple choice."""
    labels: tuple[str, ...] = ()
    """What the options are called where they are asked: A, B, C, or 0, 1, 2."""
    correct: int | None = None
    """Index of the right option."""

    def kind(self, name: str) -> str:
        """Return the value of a kind; empty if it has none."""
        return dict(self.kinds).get(name, "")


@dataclass(frozen=True, slots=True)
class TaskData:
    """A data set that was read."""

    task: TaskName
    name: str
    """The folder, as it was named."""
    layout: str
    """How it was stored, for people."""
    wording: Wording
    questions: tuple[PictureQuestion, ...]
    available: int
    """Questions that there are; `questions` are the first of them if a limit was set."""
    notes: tuple[str, ...] = ()
    """What a reader of the result must know of the data."""

    @property
    def limited(self) -> bool:
        """Whether only a part is asked."""
        return len(self.questions) < self.available
