"""Purging: removes what edgewatch put into the folder of models, by the manifest alone."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.held_folder import HeldFolder
from edgewatch.pipeline.scenes.models.lock import ModelsLock
from edgewatch.pipeline.scenes.models.manifest import Manifest, OwnedFile


@dataclass(frozen=True, slots=True)
class Doomed:
    """What a purge would remove, or removed."""

    files: tuple[OwnedFile, ...]
    """Those that are there, with the size that they have; a second name of one counts nothing."""
    left: tuple[str, ...]
    """Listed, but not as we left them (a link, a folder): not touched."""

    @property
    def size_bytes(self) -> int:
        """What becomes free."""
        return sum(file.size_bytes for file in self.files)


def doomed(folder: ModelFolder, model: str | None = None) -> Doomed:
    """Return what there is to purge of one model, or of all. Raises SceneRefused, OSError."""
    there: list[OwnedFile] = []
    left: list[str] = []
    seen: set[tuple[int, int]] = set()
    for file in _listed(folder, model):
        status = _status(folder.root, file.path)
        if status is None:
            continue
        if not stat.S_ISREG(status.st_mode):
            left.append(file.path)
            continue
        size_bytes = 0 if (status.st_dev, status.st_ino) in seen else status.st_size
        seen.add((status.st_dev, status.st_ino))
        there.append(OwnedFile(file.path, file.model, file.what, size_bytes, file.sha256))
    return Doomed(tuple(there), tuple(left))


def purge(folder: ModelFolder, model: str | None = None) -> Doomed:
    """Remove what `doomed` names, and folders that are empty then; licences stay accepted.

    No link is followed, neither a file nor a folder on the way. Raises SceneRefused, OSError.
    """
    if not folder.root.is_dir():
        return Doomed((), ())
    with HeldFolder(folder):
        found = doomed(folder, model)
        for file in found.files:
            _unlink(folder.root, file.path)
        left = set(found.left)
        gone = [file for file in _listed(folder, model) if file.path not in left]
        _remove_empty(folder.root, [file.path for file in gone])
        if gone:
            Manifest(folder).remove([file.path for file in gone])
        lock = ModelsLock(folder.lock_file)
        for name in sorted({file.model for file in gone}):
            lock.forget_fetched(name)
    return found


def _listed(folder: ModelFolder, model: str | None) -> list[OwnedFile]:
    return [file for file in Manifest(folder).files() if model in (None, file.model)]


def _status(root: Path, path: str) -> os.stat_result | None:
    """Return what lies at a path, links not followed; None: nothing, or a link on the way."""
    with _parent_of(root, path) as (parent, name):
        if parent is None:
            return None
        try:
            return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None


def _unlink(root: Path, path: str) -> None:
    with _parent_of(root, path) as (parent, name):
        if parent is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)


def _remove_empty(root: Path, paths: Sequence[str]) -> None:
    """Remove the folders of these files, deepest first, that hold nothing any more."""
    folders = {parent.as_posix() for path in paths for parent in PurePosixPath(path).parents}
    for folder in sorted(folders - {"."}, key=lambda one: one.count("/"), reverse=True):
        with _parent_of(root, folder) as (parent, name):
            if parent is not None:
                with contextlib.suppress(OSError):  # not empty, or a link
                    os.rmdir(name, dir_fd=parent)


@contextmanager
def _parent_of(root: Path, path: str) -> Iterator[tuple[int | None, str]]:
    """Open the folder that something lies in, step by step, so that no link is followed."""
    *folders, name = path.split("/")
    held = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                inner = os.open(folder, flags, dir_fd=held)
            except OSError:  # not there, or a link
                yield None, name
                return
            os.close(held)
            held = inner
        yield held, name
    finally:
        os.close(held)
