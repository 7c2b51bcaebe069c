"""What goes wrong with evidence, and what a person can do about it."""

from __future__ import annotations

import errno

from edgewatch.pipeline.errors import EdgewatchError

_WORDS = {
    errno.ENOSPC: "the disk is full: free space there",
    errno.EDQUOT: "the disk quota is used up: free space there",
    errno.EROFS: "the disk is mounted read-only",
    errno.EACCES: "it may not be written: check owner and mode",
    errno.EPERM: "it may not be written: check owner and mode",
    errno.EIO: "the disk cannot be written: check its health",
}


class EvidenceFailed(EdgewatchError):
    """Evidence of an event could not be kept. The event itself is not touched by it."""

    def __init__(self, message: str, *, disk: bool = False) -> None:
        super().__init__(message)
        self.disk = disk
        """Whether the disk is to blame, so that the next one would fail too."""


def failed(what: str, error: OSError) -> EvidenceFailed:
    """Put a disk's error into words; `what`: the file, below the folder of evidence."""
    words = _WORDS.get(error.errno or 0, error.strerror or type(error).__name__)
    return EvidenceFailed(f"{what}: {words}", disk=True)
