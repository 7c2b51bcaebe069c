"""Labels: what a person says of recordings, read from a CSV file or from file-name prefixes."""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from edgewatch.config.errors import ConfigError
from edgewatch.pipeline.types import Label

_SPELLINGS: Mapping[str, Label] = {
    "normal": "Normal",
    "0": "Normal",
    "anomaly": "Anomaly",
    "1": "Anomaly",
}
_PREFIXES: Mapping[str, Label] = {"norm_": "Normal", "anom_": "Anomaly"}


@dataclass(frozen=True, slots=True)
class Window:
    """A labelled stretch of a recording, in seconds from its first picture."""

    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class RecordingLabel:
    """What is known of one recording."""

    label: Label
    group: str = ""
    """Kind of camera ("drive", "fixed", ...); figures are also given by group."""
    windows: tuple[Window, ...] = ()
    """Where the anomaly is: growing and disjoint; empty if nobody marked it."""
    drive: str = ""
    """Recordings of one drive are views of the same incident; empty: the file does not say."""
    view: str = ""
    """Which camera of the drive: "front", "left", ..."""


class Labels:
    """The labels of some recordings, found again by path.

    A recording without a row falls back to its file name: `Anom_…` and `Norm_…` are labels too,
    so `Labels()` without any row reads prefixes only.
    """

    def __init__(self, rows: Mapping[str, RecordingLabel] | None = None, source: str = "") -> None:
        """Take labels by path (relative ones count from the working directory)."""
        self._by_path = {os.path.realpath(path): label for path, label in (rows or {}).items()}
        self._source = source

    def __len__(self) -> int:
        return len(self._by_path)

    @property
    def paths(self) -> tuple[str, ...]:
        """What the rows name, as absolute paths, in their order."""
        return tuple(self._by_path)

    def for_file(self, path: str | Path) -> RecordingLabel | None:
        """Return the label of a recording, None if there is none.

        The row that names this very file counts. A row whose file is not where the row says
        (labels kept apart from the recordings) also counts for a file of the same base name.
        Raises ConfigError if several such rows fit equally well.
        """
        real = os.path.realpath(path)
        if real in self._by_path:
            return self._by_path[real]
        moved = self._moved_rows(real)
        if len(moved) > 1:
            rows = " and ".join(f"'{one}'" for one in moved[:3])
            raise ConfigError(
                f"{self._source}: {len(moved)} rows could mean {path}: {rows}; "
                "write the path relative to the label file in column 'file'"
            )
        if moved:
            return self._by_path[moved[0]]
        return label_of_name(os.path.basename(path))

    def _moved_rows(self, real: str) -> list[str]:
        """Return the rows of absent files with this base name, the best-fitting ones only."""
        name = os.path.basename(real)
        rows = [
            path
            for path in self._by_path
            if os.path.basename(path) == name and not os.path.exists(path)
        ]
        fits = [_common_ending(path, real) for path in rows]
        return [path for path, fit in zip(rows, fits, strict=True) if fit == max(fits)]


def label_of_name(name: str) -> RecordingLabel | None:
    """Return the label that a file name's prefix gives (`Anom_`, `Norm_`), else None."""
    label = _PREFIXES.get(name[:5].lower())
    return RecordingLabel(label) if label else None


def read_labels(path: Path) -> Labels:
    """Read a label CSV.

    Columns `file` and `label` (Normal or Anomaly, also 0 or 1; case does not matter) must be
    there. Optional: `camera` (the group), `drive` and `view`, `anomaly_start_s` and
    `anomaly_end_s`; several rows of one file give several windows. Other columns are ignored.
    Paths are relative to the CSV's folder. Raises ConfigError, naming file, line and cure.
    """
    rows: dict[str, RecordingLabel] = {}
    for line, cells in _rows(path):
        row = _Row(path, line, cells)
        file = os.path.normpath(path.parent / row.file)
        label = row.label
        rows[file] = row.merged(rows[file], label) if file in rows else label
    return Labels(rows, source=str(path))


def has_label_columns(path: Path) -> bool:
    """Say whether a CSV's first line names the columns that a label file must have."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline(65_536)
    except OSError:
        return False
    cells = {cell.strip().strip('"').lower() for cell in header.split(_delimiter(header))}
    return {"file", "label"} <= cells


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each line's number and its cells by column, names in lower case."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front.
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as CSV in UTF-8") from error
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=_delimiter(text),
        strict=True,
        skipinitialspace=True,
    )
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        _check_header(path, header)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                raise ConfigError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells for {len(header)} "
                    "columns; put a cell that holds a comma in double quotes"
                )
            yield reader.line_num, dict(zip(header, (c.strip() for c in cells), strict=False))
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num}: is not CSV: {error}") from error


def _delimiter(text: str) -> str:
    """Return the header's delimiter: spreadsheets of many countries write semicolons."""
    header = text.partition("\n")[0]
    return ";" if ";" in header and "," not in header else ","


def _check_header(path: Path, header: Sequence[str]) -> None:
    missing = [name for name in ("file", "label") if name not in header]
    if missing:
        has = ", ".join(header) or "nothing"
        raise ConfigError(
            f"{path}, line 1: column {' and '.join(missing)} is missing (found: {has}); "
            "the first line must name the columns, at least file,label"
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}, line 1: column {twice[0]} is there twice; keep one of them")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the CSV."""

    path: Path
    line: int
    cells: Mapping[str, str]

    @property
    def file(self) -> str:
        file = self.cells.get("file")
        if not file:
            self._fail("column file is empty; write the recording's path")
        return file

    @property
    def label(self) -> RecordingLabel:
        written = self.cells.get("label", "")
        label = _SPELLINGS.get(written.lower())
        if label is None:
            self._fail(f"label is {written!r}; write Normal or Anomaly")
        window = self._window()
        if window and label == "Normal":
            self._fail("a Normal recording has an anomaly window; empty it or write Anomaly")
        return RecordingLabel(
            label,
            self.cells.get("camera", ""),
            (window,) if window else (),
            self.cells.get("drive", ""),
            self.cells.get("view", ""),
        )

    def merged(self, earlier: RecordingLabel, label: RecordingLabel) -> RecordingLabel:
        """Add this row's window to what earlier rows said of the same file."""
        if replace(earlier, windows=()) != replace(label, windows=()):
            self._fail(f"{self.file} is in an earlier line with another label, camera or drive")
        return replace(label, windows=tuple(_united(earlier.windows + label.windows)))

    def _window(self) -> Window | None:
        start = self._seconds("anomaly_start_s")
        end = self._seconds("anomaly_end_s")
        if start is None and end is None:
            return None
        if start is None or end is None:
            self._fail("only one end of the window is given; write both or neither")
        if not start < end:
            self._fail(f"the window starts at {start:g} s and ends at {end:g} s; swap them?")
        return Window(start, end)

    def _seconds(self, column: str) -> float | None:
        written = self.cells.get(column, "")
        if not written:
            return None
        try:
            seconds = float(written)
        except ValueError:
            seconds = math.nan
        if not (math.isfinite(seconds) and seconds >= 0):
            self._fail(f"{column} is {written!r}; write seconds from the start, such as 12.5")
        return seconds

    def _fail(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.path}, line {self.line}: {message}")


def _united(windows: Iterable[Window]) -> Iterator[Window]:
    """Yield the windows in order of time, those that touch joined."""
    joined: Window | None = None
    for window in sorted(windows, key=lambda one: one.start_seconds):
        if joined is None or window.start_seconds > joined.end_seconds:
            if joined:
                yield joined
            joined = window
        else:
            end = max(joined.end_seconds, window.end_seconds)
            joined = Window(joined.start_seconds, end)
    if joined:
        yield joined


def _common_ending(one: str, other: str) -> int:
    """Count the last parts that two paths share."""
    pairs = zip(reversed(Path(one).parts), reversed(Path(other).parts), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
