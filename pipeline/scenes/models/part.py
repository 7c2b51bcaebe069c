"""A file on its way: what is here of it, and its proof before it gets its name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.json_file import read_json, write_json
from edgewatch.pipeline.scenes.models.selection import RemoteFile

BLOCK_BYTES = 4 * 1024 * 1024


class Part:
    """`<name>.part` and, beside it, whose beginning it is (`<name>.part.json`)."""

    def __init__(self, target: Path, wanted: RemoteFile) -> None:
        self._target = target
        self._wanted = wanted
        self._path, self._notes = part_paths(target)
        self._etag: str | None = None
        self._file: BinaryIO | None = None
        self._have_bytes = self._found()

    @property
    def have_bytes(self) -> int:
        """How much of it is here."""
        return self._have_bytes

    @property
    def etag(self) -> str | None:
        """What the server called the content that this is the beginning of; a strong one."""
        return self._etag

    @property
    def complete(self) -> bool:
        """Whether all of it is here, unproved."""
        return self._have_bytes == self._wanted.size_bytes and self._path.exists()

    def begin(self, etag: str | None) -> None:
        """Start from nothing; `etag` as the server sent it."""
        self.close()
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._etag = etag if etag and not etag.startswith("W/") else None
        self._file = self._path.open("wb")
        self._have_bytes = 0
        write_json(self._notes, {"content": self._content(), "etag": self._etag})

    def go_on(self) -> None:
        """Write on where it ends."""
        self.close()
        self._file = self._path.open("ab")

    def write(self, block: bytes) -> None:
        """Add to it. Raises SceneRefused if it gets longer than it should, OSError."""
        if self._file is None:
            raise RuntimeError("neither begun nor gone on with")
        if self._have_bytes + len(block) > self._wanted.size_bytes:
            self.drop()
            raise SceneRefused(
                f"{self._wanted.path}: the server sends more than the "
                f"{self._wanted.size_bytes} bytes it lists; what came was removed"
            )
        self._file.write(block)
        self._have_bytes += len(block)

    def close(self) -> None:
        """Let go of the file; what is written stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def drop(self) -> None:
        """Remove what is here of it."""
        self.close()
        self._path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)
        self._have_bytes = 0
        self._etag = None

    def proved_sha256(self) -> str | None:
        """Return its sha256 if it is what was wanted; None if it is not."""
        self.close()
        return proved_sha256(self._path, self._wanted)

    def finish(self) -> None:
        """Give it its name, once it is proved."""
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
        self._path.replace(self._target)
        self._notes.unlink(missing_ok=True)

    def _found(self) -> int:
        """Take up what an earlier run left, if it is the beginning of the same content."""
        try:
            have_bytes = self._path.lstat().st_size
            notes = read_json(self._notes)
        except (FileNotFoundError, SceneRefused):
            notes, have_bytes = {}, 0
        fits = notes.get("content") == self._content() and have_bytes <= self._wanted.size_bytes
        if not fits or self._path.is_symlink():
            self.drop()
            return 0
        etag = notes.get("etag")
        self._etag = etag if isinstance(etag, str) else None
        return have_bytes

    def _content(self) -> str:
        return f"{self._wanted.sha256 or self._wanted.blob_sha1}/{self._wanted.size_bytes}"


def part_paths(target: Path) -> tuple[Path, Path]:
    """Return where the part of a file lies, and the notes on it."""
    return target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")


def proved_sha256(path: Path, wanted: RemoteFile) -> str | None:
    """Return a file's sha256 if it is what was wanted, by size and hash; None if it is not."""
    sha256 = hashlib.sha256()
    # What git calls a file that it keeps itself: its only public hash; large ones have sha256.
    blob = hashlib.sha1(b"blob %d\0" % wanted.size_bytes, usedforsecurity=False)
    size_bytes = 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                sha256.update(block)
                size_bytes += len(block)
                if wanted.sha256 is None:
                    blob.update(block)
    except FileNotFoundError:
        return None
    right = (
        sha256.hexdigest() == wanted.sha256
        if wanted.sha256 is not None
        else blob.hexdigest() == wanted.blob_sha1
    )
    return sha256.hexdigest() if right and size_bytes == wanted.size_bytes else None
