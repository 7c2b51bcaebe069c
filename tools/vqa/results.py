"""Results of a task: what engines replied, what it is worth, and the figures. Pure data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.vqa.questions import TaskData
from edgewatch.tools.vqa.rules import Worth

UPSTREAM_WARNING = (
    "Upstream's rule (the reply holds a reference answer somewhere) flatters: long replies hold "
    'much, and "no" is in "normal". Compare it with figures of TensorRT-LLM\'s eval.py alone.'
)
QUESTIONS_OF_MME = 2
"""For each picture: one to be answered with yes, one with no."""
FEW_PICTURES = 100
"""With fewer a result says that it rests on few."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an engine said to a question."""

    text: str | None
    """None: nothing, see `reason`."""
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TaskFigure:
    """One figure of an engine on a task."""

    group: str
    """"all", a kind ("answer type", "category"), or "total"."""
    name: str
    """"accuracy", or the value of the kind."""
    measure: str
    """"accuracy", "accuracy+", "score", "accuracy (upstream's rule)", ..."""
    most: float
    """1 for a share, 200 for a score of MME's category."""
    questions: int
    pictures: int
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One engine on a task."""

    name: str
    """As it was asked for."""
    engine: str
    """As the model calls itself, with the hash of its weights."""
    simulated: str
    """What of its arithmetic is imitated; empty where nothing is."""
    pictures: str
    """To which sizes pictures were brought."""
    most_tokens: int
    """Of a reply."""
    load_seconds: float
    wall_seconds: float
    """Of this sitting, without loading."""
    asked_now: int
    """Questions of this sitting; the others were known."""
    replies: tuple[Reply, ...]
    """To the task's questions, in order."""
    worths: tuple[Worth, ...]
    figures: tuple[TaskFigure, ...]

    @property
    def unanswered(self) -> int:
        """Questions without a reply; they count as answered wrong."""
        return sum(one.text is None for one in self.replies)

    @property
    def mean_seconds(self) -> float | None:
        """Of a reply; None if there is none."""
        times = [one.seconds for one in self.replies if one.text is not None]
        return sum(times) / len(times) if times else None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Engines on a task, side by side."""

    data: TaskData
    runs: tuple[TaskRun, ...]
    finished_seconds: float
    """Unix time."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, in sentences."""
        data = self.data
        pictures = len({one.picture.name for one in data.questions})
        found = list(data.notes)
        if data.limited:
            found.append(
                f"only the first {len(data.questions)} of {data.available} questions were asked: "
                "these figures are not those of the whole data set"
            )
        if data.task == "mme":
            asked = Counter(one.picture.name for one in data.questions)
            odd = sum(count != QUESTIONS_OF_MME for count in asked.values())
            if odd:
                found.append(f"accuracy+ leaves out {odd} pictures that have not two questions")
        if pictures < FEW_PICTURES:
            found.append(f"rests on {pictures} pictures only: see the intervals")
        for run in self.runs:
            if run.unanswered:
                why = next(one.reason for one in run.replies if one.text is None)
                found.append(
                    f"{run.name} left {run.unanswered} questions without a reply, which count as "
                    f"answered wrong ({why})"
                )
            if run.simulated:
                found.append(f"{run.name}: {run.simulated}; its times are not the real ones")
        return tuple(found)
