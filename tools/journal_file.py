"""A journal's file: JSON, a line each, that outlives a kill; whose lines they are, others know."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from edgewatch.config.errors import ConfigError


class JournalFile:
    """Hands over each line that is there, then takes new ones. Used by one process at a time.

    A last line that was cut off by a kill is dropped.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        header: str,
        version: int,
        command: str,
        take: Callable[[Any], None],
    ) -> None:
        """`header`: key of the first line, which holds the version; `command`: whose journal it is.

        `take` gets each other line's value; ValueError, KeyError or TypeError say that it is
        damaged. Without a path nothing is kept.
        """
        self._path = path
        self._header = header
        self._version = version
        self._command = command
        self._take = take
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Read what is there, and keep others away. Raises ConfigError."""
        if self._path is None:
            return self
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b")
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._lock(self._file)
            self._read(self._file)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def append(self, document: Mapping[str, Any]) -> None:
        """Write a line; on return it is on disk. Raises ConfigError."""
        if self._file is None:
            return
        try:
            _write(self._file, document)
        except OSError as error:
            raise self._unusable(error) from error

    def _lock(self, file: IO[bytes]) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"{self._path}: another evaluation is at work with it; wait for its end, or name "
                "another --report or --journal"
            ) from error

    def _read(self, file: IO[bytes]) -> None:
        file.seek(0)
        whole = 0
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break  # the kill came in the middle of it
            if number == 1:
                self._check_header(line)
            else:
                self._hand_over(line, number)
            whole += len(line)
        file.truncate(whole)
        if whole == 0:
            _write(file, {self._header: self._version})

    def _check_header(self, line: bytes) -> None:
        try:
            version = json.loads(line)[self._header]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._path}: is no journal of {self._command}; name another --journal"
            ) from error
        if version != self._version:
            raise ConfigError(
                f"{self._path}: was written by another version of edgewatch; start over with --anew"
            )

    def _hand_over(self, line: bytes, number: int) -> None:
        try:
            self._take(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._path}, line {number}: is damaged; start over with --anew"
            ) from error

    def _unusable(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"{self._path}: cannot be written: {error.strerror or error}; make room or name "
            "another --journal"
        )


def _write(file: IO[bytes], document: Mapping[str, Any]) -> None:
    file.seek(0, os.SEEK_END)
    file.write(json.dumps(document, allow_nan=False).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def journal_path(named: Path | None, folder: Path | None, name: str) -> Path | None:
    """Return where a journal is kept: as named, else in the report's folder; None: nowhere."""
    if named is not None:
        return named
    return folder / name if folder else None


def start_over(journal: Path) -> None:
    """Remove a journal, if there is one. Raises ConfigError."""
    try:
        journal.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{journal}: cannot be removed: {error.strerror or error}") from error
