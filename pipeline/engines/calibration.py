"""Calibration: from an engine's score to the probability that labelled recordings bear out. Pure.

Every map here only grows: of two clips, the one that the engine scored higher never gets the lower
probability. So a calibration changes what a score means, and never which clip is the worse one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.errors import EngineFailed

Floats = npt.NDArray[np.float64]
Method = Literal["none", "temperature", "platt", "isotonic"]
WishKind = Literal["false_alarms_per_day", "recall"]

FORMAT = "edgewatch-calibration"
VERSION = 1
SQUEEZE = 1e-6
"""A score of exactly 0 or 1 has no logit: scores are drawn in by this before it is taken. That
keeps their order, where cutting them off at a limit would make them equal."""

_AGAIN = 'fit it again (edgewatch calibrate), or set [engine] calibration = "none"'
_NAME = re.compile(r"(?P<engine>.*?)\+cal@(?P<hash>[0-9a-f]{8})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a calibration rests on."""

    recordings: int = 0
    """Or drives, whose views count once."""
    incident_recordings: int = 0
    clips: int = 0
    incident_clips: int = 0
    normal_seconds: float = 0.0
    """Footage without incident on which false alarms were counted."""


@dataclass(frozen=True, slots=True)
class ChosenThreshold:
    """A threshold on calibrated scores, for what it was wished, and what it reached."""

    threshold: float
    wish: WishKind
    wished: float
    reached: float
    low: float
    """95 % interval of `reached`."""
    high: float
    supported: bool
    """Whether the labelled recordings are enough to promise what was wished."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """One engine's calibration."""

    method: Method
    engine: str
    """Name of the engine whose scores it was fitted on: kind, model, hash of the weights."""
    slope: float = 1.0
    """Of the score's logit: temperature (1 / T) and Platt. Above 0."""
    offset: float = 0.0
    """Added to that: Platt."""
    knots: tuple[tuple[float, float], ...] = ()
    """(score, probability), both strictly growing, from score 0 to score 1: isotonic."""
    questions: tuple[str, ...] = ()
    """`question_hash` of what the engine was asked; empty: an engine that does not read."""
    counts: Counts = field(default_factory=Counts)
    fitted_seconds: float = 0.0
    """Unix time."""
    chosen: ChosenThreshold | None = None

    @property
    def hash(self) -> str:
        """First 8 digits of the SHA-256 of all that decides a calibrated score."""
        parts = [self.method, self.slope, self.offset, self.knots, self.engine, self.questions]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """Name of the engine so calibrated; where scores stay as they are, its own."""
        return self.engine if self.method == "none" else f"{self.engine}+cal@{self.hash}"

    def apply(self, score: float) -> float:
        """Return the probability of a score; what is no score from 0 to 1 (NaN) stays as it is."""
        return float(self.apply_all(np.array([score]))[0])

    def apply_all(self, scores: npt.ArrayLike) -> Floats:
        """Return the probabilities of scores, float64 of the same shape; as `apply`."""
        given = np.asarray(scores, dtype=np.float64)
        usable = (given >= 0.0) & (given <= 1.0)
        match self.method:
            case "none":
                mapped = given
            case "isotonic":
                mapped = np.interp(given, *self._columns())
            case _:
                mapped = sigmoid(self.slope * logit(np.where(usable, given, 0.5)) + self.offset)
        return np.where(usable, mapped, given)

    def undo_all(self, probabilities: npt.ArrayLike) -> Floats:
        """Return the scores that `apply_all` makes these of, as far as float64 can tell."""
        given = np.asarray(probabilities, dtype=np.float64)
        usable = (given >= 0.0) & (given <= 1.0)
        match self.method:
            case "none":
                raw = given
            case "isotonic":
                scores, values = self._columns()
                raw = np.interp(given, values, scores)
            case _:
                inner = np.clip(np.where(usable, given, 0.5), 1e-300, 1.0 - 2.0**-53)
                line = (np.log(inner) - np.log1p(-inner) - self.offset) / self.slope
                raw = np.clip((sigmoid(line) - SQUEEZE) / (1.0 - 2.0 * SQUEEZE), 0.0, 1.0)
        return np.where(usable, raw, given)

    def document(self) -> dict[str, Any]:
        """Return what its file holds."""
        numbers: dict[str, Any] = {}
        match self.method:
            case "temperature":
                numbers = {"slope": self.slope, "temperature": 1.0 / self.slope}
            case "platt":
                numbers = {"slope": self.slope, "offset": self.offset}
            case "isotonic":
                numbers = {"knots": [list(knot) for knot in self.knots]}
        chosen = self.chosen
        return {
            "format": FORMAT,
            "version": VERSION,
            "method": self.method,
            "numbers": numbers,
            "engine": self.engine,
            "questions": list(self.questions),
            "calibrated_engine": self.name,
            "counts": {name: getattr(self.counts, name) for name in Counts.__slots__},
            "fitted_seconds": self.fitted_seconds,
            "chosen": chosen
            and {name: getattr(chosen, name) for name in ChosenThreshold.__slots__},
        }

    def _columns(self) -> tuple[Floats, Floats]:
        table = np.array(self.knots, dtype=np.float64)
        return table[:, 0], table[:, 1]


def logit(scores: Floats) -> Floats:
    """Return log(s / (1 - s)) of scores from 0 to 1, finite also at 0 and 1; see SQUEEZE."""
    inner = SQUEEZE + (1.0 - 2.0 * SQUEEZE) * scores
    value: Floats = np.log(inner) - np.log1p(-inner)
    return value


def sigmoid(line: Floats) -> Floats:
    """Return 1 / (1 + e^-x) without overflow."""
    grown = np.exp(-np.abs(line))
    value: Floats = np.where(line >= 0.0, 1.0 / (1.0 + grown), grown / (1.0 + grown))
    return value


def question_hash(prompt: str, form: Form) -> str:
    """Return 12 digits that stand for what an engine that reads is asked, whatever its model.

    Unlike `Question.hash` it leaves out how a family of models writes a chat.
    """
    parts = [prompt, form.anomaly_answer, form.normal_answer, form.answer_prefix]
    if form.question_first:  # added only then: files of the other order keep their hash
        parts.append("question first")
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def split_name(engine: str) -> tuple[str, str]:
    """Return an engine's name without its calibration, and the calibration's hash or nothing."""
    found = _NAME.fullmatch(engine)
    return (found["engine"], found["hash"]) if found else (engine, "")


def misfit(calibration: Calibration, engine: str, asked: Sequence[str]) -> EngineFailed | None:
    """Say why a calibration may not be used for an engine asked so; None: it may.

    `engine`: its name, started; `asked`: `question_hash` of each camera's, () if it does not read.
    """
    if calibration.engine != engine:
        return EngineFailed(
            f"this calibration was fitted on scores of {calibration.engine}, and {engine} judges",
            _AGAIN,
        )
    others = set(asked) - set(calibration.questions)
    if others:
        cameras = "a camera's" if len(set(asked)) > 1 else "the"
        return EngineFailed(
            f"this calibration was fitted for another question than {cameras} prompt and answers "
            "make now",
            _AGAIN,
        )
    return None


def calibration_from(text: str, place: str) -> Calibration:
    """Read a file's text. Raises EngineFailed, which names the file (`place`) and the cure."""
    try:
        table = json.loads(text)
        if not isinstance(table, dict) or table.get("format") != FORMAT:
            raise ValueError("it is no calibration of edgewatch")
        if table.get("version") != VERSION:
            raise ValueError(f"its version is {table.get('version')!r}, this edgewatch reads 1")
        return _checked(table)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise EngineFailed(f"{place} cannot be used: {what}", _AGAIN) from error


def _checked(table: Mapping[str, Any]) -> Calibration:
    """Take the values; whatever is none of a calibration raises KeyError, TypeError, ValueError."""
    method = table["method"]
    if method not in get_args(Method):
        raise ValueError(f"its method {method!r} is not known")
    numbers, chosen = table["numbers"], table.get("chosen")
    knots = tuple((float(x), float(y)) for x, y in numbers["knots"]) if method == "isotonic" else ()
    if method == "isotonic":
        _check_knots(knots)
    engine, questions = table["engine"], table["questions"]
    if not isinstance(engine, str) or not all(isinstance(one, str) for one in questions):
        raise TypeError("its engine or its questions are no text")
    return Calibration(
        method=method,
        engine=engine,
        slope=_number(numbers["slope"], 1e-9, 1e9) if method in ("temperature", "platt") else 1.0,
        offset=_number(numbers["offset"], -1e9, 1e9) if method == "platt" else 0.0,
        knots=knots,
        questions=tuple(questions),
        counts=Counts(**{name: table["counts"][name] for name in Counts.__slots__}),
        fitted_seconds=_number(table["fitted_seconds"], 0.0, 1e12),
        chosen=chosen and ChosenThreshold(**chosen),
    )


def _number(value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{value!r} is no number from {low:g} to {high:g}")
    return float(value)


def _check_knots(knots: Sequence[tuple[float, float]]) -> None:
    table = np.array(knots, dtype=np.float64).reshape(-1, 2)
    grows = bool((np.diff(table, axis=0) > 0.0).all())  # also False for NaN
    inside = bool(((table >= 0.0) & (table <= 1.0)).all())
    if len(table) < 2 or not (grows and inside) or table[0, 0] != 0.0 or table[-1, 0] != 1.0:
        raise ValueError("its knots are no map that grows from score 0 to score 1")
