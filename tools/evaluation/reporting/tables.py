"""Tables: figures as text in rows and columns, for a page, a terminal and Markdown alike. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edgewatch.tools.evaluation.statistics.figures import Estimate

Tone = Literal["", "good", "bad", "soft"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure or word of a table."""

    text: str
    beside: str = ""
    """Smaller, after it: its interval, its quantiles."""
    hint: str = ""
    """Why there is no figure, or what one should know of it."""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds."""

    heading: str
    numeric: bool = True
    hint: str = ""
    """What the heading means."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; each row has a cell for each column."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def only(self, *headings: str) -> Table:
        """Return the same rows with some of the columns, in the table's own order."""
        places = [at for at, one in enumerate(self.columns) if one.heading in headings]
        return Table(
            self.title,
            tuple(self.columns[at] for at in places),
            tuple(tuple(row[at] for at in places) for row in self.rows),
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why figures are missing, each reason once."""
        missing = (cell.hint for row in self.rows for cell in row if cell.text == MISSING)
        return tuple(dict.fromkeys(filter(None, missing)))


MISSING = "n/a"


def word(text: str, tone: Tone = "", hint: str = "") -> Cell:
    """Make a cell of words."""
    return Cell(text, hint=hint, tone=tone)


def missing(reason: str) -> Cell:
    """Make a cell for a figure there is none of."""
    return Cell(MISSING, hint=reason, tone="soft")


def count(number: int) -> Cell:
    """Make a cell of a whole number."""
    return Cell(str(number))


def figure(estimate: Estimate, *, decimals: int = 2, unit: str = "", tone: Tone = "") -> Cell:
    """Make a cell of a figure, its 95 % interval beside it."""
    if estimate.value is None:
        return missing(estimate.reason)
    return Cell(
        f"{estimate.value:.{decimals}f}{unit}",
        interval(estimate, decimals=decimals),
        estimate.reason,
        tone,
    )


def number(value: float | None, reason: str = "", *, decimals: int = 2, unit: str = "") -> Cell:
    """Make a cell of a figure without interval."""
    return missing(reason) if value is None else Cell(f"{value:.{decimals}f}{unit}")


def interval(estimate: Estimate, *, decimals: int = 2) -> str:
    """Write a 95 % interval: "[0.61, 0.95]"; empty if there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{estimate.low:.{decimals}f}, {estimate.high:.{decimals}f}]"


def told(estimate: Estimate, *, decimals: int = 2) -> str:
    """Write a figure for a sentence: "0.83 [0.61, 0.95]", or "n/a (why)"."""
    if estimate.value is None:
        return f"{MISSING} ({estimate.reason})" if estimate.reason else MISSING
    return f"{estimate.value:.{decimals}f} {interval(estimate, decimals=decimals)}".rstrip()


def probability(value: float | None, reason: str = "") -> Cell:
    """Make a cell of a p-value; a very small one is never written as 0."""
    if value is None:
        return missing(reason)
    return Cell(p_words(value).removeprefix("p = ").removeprefix("p "))


def p_words(value: float) -> str:
    """Write a p-value: "p = 0.031", "p < 0.001"."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.{3 if value < 0.1 else 2}f}"


def table(title: str, columns: Iterable[Column], rows: Iterable[Iterable[Cell]]) -> Table:
    """Put a table together."""
    return Table(title, tuple(columns), tuple(tuple(row) for row in rows))
