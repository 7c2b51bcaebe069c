"""Replies to figures, by the official rule of each task and by upstream's. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.vqa.mme_categories import CATEGORIES, COGNITION, PERCEPTION
from edgewatch.tools.vqa.questions import PictureQuestion, TaskData
from edgewatch.tools.vqa.resampling import RESAMPLES, Ratio, Sum, estimates
from edgewatch.tools.vqa.results import Reply, TaskFigure
from edgewatch.tools.vqa.rules import UNANSWERED, Worth, marked

UPSTREAM = "accuracy (upstream's rule)"
TOOL_ALONE = "accuracy (tool alone, replies not cleaned)"


def worths_of(data: TaskData, replies: Sequence[Reply]) -> tuple[Worth, ...]:
    """Return what each reply is worth, in order."""
    return tuple(
        UNANSWERED if reply.text is None else marked(data.task, question, reply.text)
        for question, reply in zip(data.questions, replies, strict=True)
    )


def figures_of(
    data: TaskData, worths: Sequence[Worth], *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[TaskFigure, ...]:
    """Return all figures of an engine on a task, the most important first."""
    board = _Board(data, worths)
    match data.task:
        case "vqav2":
            _vqav2(board)
        case "mme":
            _mme(board)
        case "ai2d":
            board.share("all", "all questions", "accuracy", board.values)
    board.share("all", "all questions", UPSTREAM, np.array([one.upstream for one in worths], float))
    return board.figures(seed, resamples)


def _vqav2(board: _Board) -> None:
    board.share("all", "all questions", "accuracy", board.values)
    for kind in ("answer type", "question type"):
        names = [one.kind(kind) for one in board.questions]
        for name in sorted(set(names)):
            chosen = np.array([one == name for one in names])
            board.share(kind, name, "accuracy", board.values, chosen)
    alone = np.array([one.tool_alone or 0.0 for one in board.worths])
    board.share("all", "all questions", TOOL_ALONE, alone)


def _mme(board: _Board) -> None:
    """Accuracy by question, accuracy+ by picture of two questions; their sum is the score."""
    names = [one.kind("category") for one in board.questions]
    order = {name: place for place, name in enumerate(CATEGORIES)}
    present = sorted(set(names), key=lambda name: (order.get(name, len(order)), name))
    ratios: dict[str, tuple[int, int]] = {}
    for name in present:
        chosen = np.array([one == name for one in names])
        simple = board.share("category", name, "accuracy", board.values, chosen)
        both = board.both_right("category", name, "accuracy+", chosen)
        ratios[name] = (simple, both)
        board.add("category", name, "score", [(simple, 100.0), (both, 100.0)], chosen)
    for total, members in (("perception", PERCEPTION), ("cognition", COGNITION)):
        there = [name for name in present if name in members]
        chosen = np.array([one in there for one in names])
        if there:
            terms = [(index, 100.0) for name in there for index in ratios[name]]
            said = (
                total
                if len(there) == len(members)
                else (f"{total} ({len(there)} of {len(members)} categories)")
            )
            board.add("total", said, "score", terms, chosen, first=True)


@dataclass(slots=True)
class _Entry:
    group: str
    name: str
    measure: str
    terms: Sum
    questions: int
    pictures: int
    first: bool


@dataclass(slots=True)
class _Board:
    """Collects shares by picture, and the figures that are made of them."""

    data: TaskData
    worths: Sequence[Worth]
    _ratios: list[Ratio] = field(default_factory=list)
    _entries: list[_Entry] = field(default_factory=list)
    _unit: npt.NDArray[np.int64] = field(init=False)
    """Each question's picture."""
    _units: int = field(init=False)
    values: npt.NDArray[np.float64] = field(init=False)
    """Each question's worth by the official rule."""

    def __post_init__(self) -> None:
        places: dict[str, int] = {}
        names = (one.picture.name for one in self.data.questions)
        self._unit = np.array([places.setdefault(name, len(places)) for name in names])
        self._units = len(places)
        self.values = np.array([one.value for one in self.worths], float)

    @property
    def questions(self) -> tuple[PictureQuestion, ...]:
        """The task's."""
        return self.data.questions

    def share(
        self,
        group: str,
        name: str,
        measure: str,
        values: npt.NDArray[np.float64],
        chosen: npt.NDArray[np.bool_] | None = None,
    ) -> int:
        """Add a mean over the chosen questions; returns its ratio's index."""
        mask = np.ones(len(values), bool) if chosen is None else chosen
        ratio = Ratio(self._by_picture(values * mask), self._by_picture(mask.astype(float)))
        return self._keep(ratio, group, name, measure, mask)

    def both_right(self, group: str, name: str, measure: str, chosen: npt.NDArray[np.bool_]) -> int:
        """Add the share of pictures whose two questions were both answered right."""
        asked = self._by_picture(chosen.astype(float))
        right = self._by_picture(self.values * chosen)
        pairs = asked == 2
        ratio = Ratio((pairs & (right == 2)).astype(float), pairs.astype(float))
        return self._keep(ratio, group, name, measure, chosen)

    def add(
        self,
        group: str,
        name: str,
        measure: str,
        terms: Sequence[tuple[int, float]],
        chosen: npt.NDArray[np.bool_],
        *,
        first: bool = False,
    ) -> None:
        """Add a sum of shares; `first`: it is shown before the others."""
        pictures = int(np.count_nonzero(self._by_picture(chosen.astype(float))))
        self._entries.append(
            _Entry(group, name, measure, Sum(tuple(terms)), int(chosen.sum()), pictures, first)
        )

    def figures(self, seed: int, resamples: int) -> tuple[TaskFigure, ...]:
        """Return what was added, with intervals."""
        found = estimates(
            self._ratios,
            [one.terms for one in self._entries],
            self._strata(),
            seed=seed,
            resamples=resamples,
        )
        made = [
            (one.first, self._figure(one, estimate))
            for one, estimate in zip(self._entries, found, strict=True)
        ]
        return tuple(figure for _, figure in sorted(made, key=lambda pair: not pair[0]))

    def _figure(self, one: _Entry, estimate: Estimate) -> TaskFigure:
        return TaskFigure(
            one.group, one.name, one.measure, one.terms.most, one.questions, one.pictures, estimate
        )

    def _keep(
        self,
        ratio: Ratio,
        group: str,
        name: str,
        measure: str,
        mask: npt.NDArray[np.bool_],
    ) -> int:
        self._ratios.append(ratio)
        index = len(self._ratios) - 1
        self.add(group, name, measure, [(index, 1.0)], mask)
        return index

    def _by_picture(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.bincount(self._unit, values, minlength=self._units).astype(np.float64)

    def _strata(self) -> npt.NDArray[np.int64]:
        """Draw MME's categories apart, so that each is there in every resample."""
        strata = np.zeros(self._units, np.int64)
        if self.data.task == "mme":
            places: dict[str, int] = {}
            for unit, one in zip(self._unit, self.data.questions, strict=True):
                strata[unit] = places.setdefault(one.kind("category"), len(places))
        return strata
