"""The workplace of a checkpoint in the making: beside where it goes, and gone if it is not done."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgewatch.config.errors import ConfigError

_LOCK = "lock"


class Workplace:
    """A folder of its own on the destination's file system; see `workplace`."""

    def __init__(self, folder: Path, destination: Path) -> None:
        self.checkpoint = folder / "checkpoint"
        """Where the checkpoint is made."""
        self.clips = folder / "clips"
        """Where clips are kept meanwhile."""
        self._destination = destination
        self.checkpoint.mkdir()
        self.clips.mkdir()

    def publish(self) -> None:
        """Put the checkpoint where it goes, whole or not at all. Raises ConfigError."""
        for file in self.checkpoint.iterdir():
            _sync(file)
        _sync(self.checkpoint)
        refuse_existing(self._destination)
        try:
            self.checkpoint.rename(self._destination)
        except OSError as error:
            raise ConfigError(
                f"--out {self._destination}: {error.strerror or error}. Name another directory"
            ) from error
        _sync(self._destination.parent)


def refuse_existing(destination: Path) -> None:
    """Let a destination pass where nothing is. Raises ConfigError."""
    if os.path.lexists(destination):
        raise ConfigError(
            f"--out {destination}: is there already. Name another directory, or move it away: "
            "nothing is written over"
        )


@contextlib.contextmanager
def workplace(destination: Path) -> Iterator[Workplace]:
    """Give a workplace and clear it away afterwards, whatever happens.

    What a killed run left of an earlier one is cleared away first: nobody holds its lock. Raises
    ConfigError if the destination is taken or cannot be written beside.
    """
    refuse_existing(destination)
    parent, prefix = destination.parent, f".{destination.name}.partial-"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(parent, prefix)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    except OSError as error:
        raise ConfigError(
            f"--out {destination}: cannot be written beside ({error.strerror or error}). Name a "
            "directory whose parent may be written to"
        ) from error
    try:
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            folder.chmod(0o755)
            yield Workplace(folder, destination)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear_abandoned(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        try:
            with (folder / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass  # ended before it took its lock
        except OSError:
            continue  # another run is at work there
        shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
