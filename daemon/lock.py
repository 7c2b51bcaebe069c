"""The lock on a data folder: two daemons must not keep the same books."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from edgewatch.pipeline.errors import StoreError


class DataLock:
    """Holds `<data_dir>/<name>.lock` while entered; the kernel frees it however we die."""

    def __init__(self, data_dir: Path, name: str = "edgewatch") -> None:
        self._path = data_dir / f"{name}.lock"
        self._fd = -1

    def __enter__(self) -> DataLock:
        """Take the lock. Raises StoreError if it is held or the folder cannot be used."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StoreError(
                f"{self._path.parent}: cannot be used for data: {error.strerror}. Set "
                "service.data_dir to a folder that this user may write to"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise StoreError(
                f"{self._path.parent}: in use by another edgewatch (process {holder}). Stop that "
                "one, or give this one its own service.data_dir"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free the lock; the file stays, or a waiting process could lock an orphan."""
        os.close(self._fd)
