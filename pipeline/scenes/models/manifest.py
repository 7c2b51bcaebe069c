"""The manifest: every file that edgewatch put into the folder of models, and for what."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from edgewatch.pipeline.scenes.json_file import read_json, write_json
from edgewatch.pipeline.scenes.models.folder import ModelFolder, is_inside

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class OwnedFile:
    """One file that is ours."""

    path: str
    """Below the folder's root, with '/'."""
    model: str
    """Name of the model it belongs to."""
    what: str
    """"weights", "onnx", "plan", "embedding" or "incoming"."""
    size_bytes: int
    sha256: str | None = None
    """None: nobody had reason to work it out."""


class Manifest:
    """The list of what is ours; whoever writes below the root notes it here first.

    Several processes may note things: each change is made under a lock of its own.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self._folder = folder

    def files(self) -> tuple[OwnedFile, ...]:
        """Return all that is listed, in the order of the paths. Raises SceneRefused if damaged."""
        listed = read_json(self._folder.manifest_file).get("files")
        return tuple(_read(listed if isinstance(listed, dict) else {}))

    def add(self, files: Iterable[OwnedFile]) -> None:
        """List files, in place of entries of the same path. Raises OSError, SceneRefused."""
        with self._changing() as listed:
            for file in files:
                listed[file.path] = file

    def remove(self, paths: Iterable[str]) -> None:
        """Take files off the list. Raises OSError, SceneRefused."""
        with self._changing() as listed:
            for path in paths:
                listed.pop(path, None)

    def replace(self, gone: str, files: Iterable[OwnedFile]) -> None:
        """List files instead of all below the folder `gone` (a path with '/')."""
        with self._changing() as listed:
            for path in [one for one in listed if one.startswith(f"{gone}/")]:
                del listed[path]
            for file in files:
                listed[file.path] = file

    @contextmanager
    def _changing(self) -> Iterator[dict[str, OwnedFile]]:
        root = self._folder.root
        root.mkdir(parents=True, exist_ok=True)
        held = os.open(root / ".manifest.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            document = read_json(self._folder.manifest_file)
            listed = {file.path: file for file in self.files()}
            yield listed
            files = {path: _record(file) for path, file in listed.items()}
            write_json(self._folder.manifest_file, document | {"schema": SCHEMA, "files": files})
        finally:
            os.close(held)


def _read(listed: Mapping[str, object]) -> Iterator[OwnedFile]:
    """Go through the entries; one that is damaged or leads outside is not ours to touch."""
    for path in sorted(listed):
        entry = listed[path]
        if not isinstance(entry, dict) or not path or not is_inside(path):
            continue
        sha256 = entry.get("sha256")
        size_bytes = entry.get("bytes")
        yield OwnedFile(
            path,
            str(entry.get("model", "")),
            str(entry.get("what", "")),
            size_bytes if isinstance(size_bytes, int) else 0,
            sha256 if isinstance(sha256, str) else None,
        )


def _record(file: OwnedFile) -> dict[str, object]:
    record: dict[str, object] = {
        "model": file.model,
        "what": file.what,
        "bytes": file.size_bytes,
    }
    return record | ({"sha256": file.sha256} if file.sha256 else {})
