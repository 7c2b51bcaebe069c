"""The lock on the folder of models: two must not write the same files."""

from __future__ import annotations

import fcntl
import os
from types import TracebackType

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.models.folder import ModelFolder


class HeldFolder:
    """Holds the folder while entered; the kernel frees it however we die."""

    def __init__(self, folder: ModelFolder) -> None:
        self._folder = folder
        self._fd = -1

    def __enter__(self) -> HeldFolder:
        """Take it. Raises SceneRefused if another process has it, OSError."""
        self._folder.root.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._folder.fetch_lock, flags, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise SceneRefused(
                f"another fetch, build or purge works on {self._folder.root} (process {holder}). "
                "Wait for it, or stop it: what it has done stays"
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
        """Free it; the file stays, or a waiting process could lock an orphan."""
        os.close(self._fd)
