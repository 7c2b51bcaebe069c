"""Claims: files that work on one model puts below the root are listed before they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.manifest import Manifest, OwnedFile


class Claims:
    """Lists one model's files in the manifest, so that `purge` finds all of them.

    Only what is named here is ours: whatever else lies in the same folders is somebody's own.
    """

    def __init__(self, folder: ModelFolder, model: str) -> None:
        self._folder, self._model = folder, model

    @contextmanager
    def writing(self, what: str, paths: Iterable[Path]) -> Iterator[None]:
        """List files (`OwnedFile.what`) that may be written; afterwards those that are there.

        A crash meanwhile leaves them listed. Raises OSError, SceneRefused, and ValueError for a
        path that is not below the root.
        """
        named = list(paths)
        known = {file.path for file in Manifest(self._folder).files()}
        missing = [path for path in map(self._inside, named) if path not in known]
        Manifest(self._folder).add(OwnedFile(path, self._model, what, 0) for path in missing)
        try:
            yield
        finally:
            self.note(what, named)

    def note(self, what: str, paths: Iterable[Path]) -> None:
        """List those files that are there, with their sizes, and no longer those that are not."""
        manifest = Manifest(self._folder)
        known = {file.path: file for file in manifest.files()}
        there: list[OwnedFile] = []
        gone: list[str] = []
        for path in paths:
            inside = self._inside(path)
            if not path.is_file() or path.is_symlink():
                gone.append(inside)
                continue
            size_bytes = path.stat().st_size
            # What was fetched keeps its sha256.
            if inside not in known or known[inside].size_bytes != size_bytes:
                there.append(OwnedFile(inside, self._model, what, size_bytes))
        if there:
            manifest.add(there)
        if known.keys() & set(gone):
            manifest.remove(gone)

    def _inside(self, path: Path) -> str:
        return path.relative_to(self._folder.root).as_posix()
