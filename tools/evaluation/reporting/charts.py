"""Charts: curves of several engines and diagrams of their calibration, laid out for SVG. Pure.

An engine is told by colour, by dashes and by the shape of its mark, so that no reader depends on
telling colours apart. Colours are those of Okabe and Ito ("Color Universal Design", 2008), made
darker on light ground and lighter on dark ground.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEFT, TOP, SIDE = 52.0, 10.0, 260.0
"""Where the plot lies in a drawing of WIDTH by HEIGHT; it is a square, both axes from 0 to 1."""
WIDTH, HEIGHT = LEFT + SIDE + 14.0, TOP + SIDE + 40.0
LOOKS = 6
"""Colours and dashes there are; a seventh engine looks like the first, and its legend tells."""
_MOST_POINTS = 300
"""Of one curve: closer ones are not told apart on a screen."""
_MARK = 4.2
_SHAPES = ("circle", "square", "triangle", "diamond")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """One point drawn as a shape, with words for who points at it."""

    shape: str
    """As the data of an SVG path."""
    words: str


@dataclass(frozen=True, slots=True)
class Series:
    """One engine's line."""

    name: str
    look: int
    """0 to LOOKS - 1: which colour and dashes."""
    figure: str
    """What the legend says beside the name."""
    line: str
    """As the data of an SVG path; empty where there is none."""
    marks: tuple[Mark, ...] = ()
    whiskers: str = ""
    """How far its points may be off, as the data of an SVG path."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on both axes."""

    x: float
    y: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A square of 0 to 1 by 0 to 1."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    guide: str
    """What the lines are held against, as the data of an SVG path."""
    guide_words: str
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """How much rests on a stretch of the x axis, drawn from its foot."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Bin:
    """Clips of nearly the same score."""

    low: float
    high: float
    mean_score: float
    share_anomalous: float
    clips: int
    share_low: float | None = None
    share_high: float | None = None
    """Ends of the share's 95 % interval; None: not known."""


TICKS = tuple(
    Tick(round(LEFT + SIDE * at, 2), round(TOP + SIDE * (1 - at), 2), f"{at:g}")
    for at in (0.0, 0.25, 0.5, 0.75, 1.0)
)


def series(
    number: int,
    name: str,
    points: Sequence[Point],
    *,
    figure: str,
    at: Point | None = None,
    at_words: str = "",
) -> Series:
    """Lay out an engine's curve through `points` (x, y), and its mark at the threshold in force."""
    marks = (Mark(_shape(number, at), at_words),) if at else ()
    return Series(name, number % LOOKS, figure, _line(_thinned(points)), marks)


def roc_chart(title: str, lines: Iterable[Series]) -> Chart:
    """Draw ROC curves: points are (share of false alarms, share found)."""
    return Chart(
        title,
        "normal ones taken for anomalous",
        "anomalous ones found (recall)",
        tuple(lines),
        _line([(0.0, 0.0), (1.0, 1.0)]),
        "guessing",
    )


def pr_chart(title: str, lines: Iterable[Series], share_anomalous: float) -> Chart:
    """Draw precision over recall: points are (recall, precision)."""
    return Chart(
        title,
        "recall",
        "precision",
        tuple(lines),
        _line([(0.0, share_anomalous), (1.0, share_anomalous)]),
        f"always Anomaly ({share_anomalous:.2f})",
    )


def reliability_chart(number: int, name: str, bins: Sequence[Bin], *, figure: str) -> Chart:
    """Draw how often clips of a score were anomalous, above bars of how many there were."""
    filled = [one for one in bins if one.clips]
    points = [(one.mean_score, one.share_anomalous) for one in filled]
    marks = tuple(
        Mark(
            _shape(number, (one.mean_score, one.share_anomalous)),
            f"{one.clips} clips scored {one.low:.1f} to {one.high:.1f}, {one.mean_score:.2f} in "
            f"the mean: {100 * one.share_anomalous:.0f} % anomalous",
        )
        for one in filled
    )
    whiskers = "".join(map(_whisker, filled))
    line = Series(name, number % LOOKS, figure, _line(points), marks, whiskers)
    return Chart(
        name,
        "score",
        "share that was anomalous",
        (line,),
        _line([(0.0, 0.0), (1.0, 1.0)]),
        "as often as the score says",
        tuple(_bars(filled)),
    )


def sample(number: int) -> str:
    """Return the mark of an engine for a legend of 26 by 12."""
    return _path(number, 13.0, 6.0)


def _bars(bins: Sequence[Bin]) -> Iterable[Bar]:
    most = max((one.clips for one in bins), default=1)
    for one in bins:
        height = max(1.0, 0.2 * SIDE * one.clips / most)
        yield Bar(
            x=round(LEFT + SIDE * one.low + 1, 2),
            y=round(TOP + SIDE - height, 2),
            width=round(max(1.0, SIDE * (one.high - one.low) - 2), 2),
            height=round(height, 2),
            words=f"{one.clips} clips",
        )


def _whisker(of: Bin) -> str:
    if of.share_low is None or of.share_high is None:
        return ""
    return f"M{_x(of.mean_score):g} {_y(of.share_low):g}V{_y(of.share_high):g}"


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Leave out points too close to the one before; the first and the last stay."""
    least = 2.0 / _MOST_POINTS
    kept: list[Point] = []
    for x, y in points:
        if not kept or max(abs(x - kept[-1][0]), abs(y - kept[-1][1])) >= least:
            kept.append((x, y))
    if points and kept[-1] != points[-1]:
        kept.append(points[-1])
    return kept


def _line(points: Sequence[Point]) -> str:
    places = (f"{_x(x):g} {_y(y):g}" for x, y in points)
    text = "L".join(places)
    return f"M{text}" if text else ""


def _x(share: float) -> float:
    return round(LEFT + SIDE * min(max(share, 0.0), 1.0), 2)


def _y(share: float) -> float:
    return round(TOP + SIDE * (1.0 - min(max(share, 0.0), 1.0)), 2)


def _shape(number: int, at: Point) -> str:
    return _path(number, _x(at[0]), _y(at[1]))


def _path(number: int, x: float, y: float) -> str:
    r = _MARK
    match _SHAPES[number % len(_SHAPES)]:
        case "circle":
            return f"M{x - r:g} {y:g}a{r} {r} 0 1 0 {2 * r:g} 0a{r} {r} 0 1 0 {-2 * r:g} 0z"
        case "square":
            return f"M{x - r:g} {y - r:g}h{2 * r:g}v{2 * r:g}h{-2 * r:g}z"
        case "triangle":
            half = r * math.sqrt(3) / 2
            return f"M{x:g} {y - r:g}L{x + half:.2f} {y + r * 0.7:.2f}H{x - half:.2f}z"
    return f"M{x:g} {y - r:g}l{r} {r}l{-r} {r}l{-r} {-r}z"
