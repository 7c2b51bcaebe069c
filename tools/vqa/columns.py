"""Tables with a column of pictures: parquet files, and arrow files that `datasets` has saved.

Texts are read at once; a picture's bytes only when it is asked about.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from edgewatch.config.errors import ConfigError
from edgewatch.tools.vqa.questions import Mark

PICTURE = "image"
"""The column of pictures: a struct of the file's bytes and its name."""


class Table(Protocol):
    """One file of a data set."""

    path: Path

    def texts(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return all rows of some columns; a column that is not there is left out."""

    def picture(self, row: int) -> Any:
        """Return a row's picture as it is stored."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredPicture:
    """A picture that is a row of a table."""

    table: Table
    row: int
    name: str
    marks: tuple[Mark, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The file's name, size and time of change, and the row. Raises OSError."""
        about = os.stat(self.table.path)
        return f"{self.table.path.name} {about.st_size} {about.st_mtime_ns} {self.row}"

    def content(self) -> bytes:
        """Return the picture's file. Raises OSError."""
        stored = self.table.picture(self.row)
        content = stored.get("bytes") if isinstance(stored, Mapping) else stored
        if not isinstance(content, bytes):
            raise OSError(f"row {self.row} of {self.table.path} holds no picture's bytes")
        return content


def open_table(path: Path) -> Table:
    """Open a .parquet or .arrow file. Raises ConfigError."""
    try:
        import pyarrow  # noqa: F401 - is it there?
    except ImportError as error:
        raise ConfigError(
            f"{path}: parquet and arrow files need pyarrow: pip install pyarrow (or take the data "
            "set's official files)"
        ) from error
    try:
        return _Parquet(path) if path.suffix == ".parquet" else _Arrow(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise ConfigError(f"{path}: cannot be read ({error})") from error


class _Parquet:
    """Reads the row group of a picture, and keeps it for the next: questions come in order."""

    def __init__(self, path: Path) -> None:
        from pyarrow.parquet import ParquetFile

        self.path = path
        self._file = ParquetFile(path)
        groups = range(self._file.num_row_groups)
        self._ends = list(
            accumulate(self._file.metadata.row_group(group).num_rows for group in groups)
        )
        self._held: tuple[int, Any] | None = None
        self._lock = Lock()

    def texts(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        """See `Table`."""
        there = [name for name in columns if name in self._file.schema_arrow.names]
        rows: list[dict[str, Any]] = self._file.read(columns=there).to_pylist()
        return rows

    def picture(self, row: int) -> Any:
        """See `Table`; any thread may ask."""
        group = next(number for number, end in enumerate(self._ends) if row < end)
        first = self._ends[group - 1] if group else 0
        with self._lock:
            if self._held is None or self._held[0] != group:
                read = self._file.read_row_group(group, columns=[PICTURE])
                self._held = group, read.column(PICTURE)
            return self._held[1][row - first].as_py()


class _Arrow:
    """Maps the file into memory: a picture is read when it is touched."""

    def __init__(self, path: Path) -> None:
        import pyarrow
        from pyarrow import ipc

        self.path = path
        mapped = pyarrow.memory_map(str(path))
        try:
            self._table = ipc.open_stream(mapped).read_all()  # what `datasets` writes
        except pyarrow.ArrowInvalid:
            self._table = ipc.open_file(pyarrow.memory_map(str(path))).read_all()

    def texts(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        """See `Table`."""
        there = [name for name in columns if name in self._table.column_names]
        rows: list[dict[str, Any]] = self._table.select(there).to_pylist()
        return rows

    def picture(self, row: int) -> Any:
        """See `Table`."""
        return self._table.column(PICTURE)[row].as_py()
