"""Stored embeddings: a prompt that was encoded once needs no text encoder again."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.models.manifest import Manifest, OwnedFile

Floats = npt.NDArray[np.float32]

MOST_KEPT = 256
"""Files in a folder, the latest used; 2 to 8 MB each."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A prompt as the large network reads it."""

    tokens: Floats
    """(1, tokens, width)."""
    pooled: Floats
    """(1, width)."""


class Embeddings:
    """A folder of embeddings. Whatever is wrong with it, a prompt is encoded anew."""

    def __init__(
        self,
        folder: Path,
        *,
        model: str,
        precision: str,
        revision: str,
        manifest: Manifest | None = None,
    ) -> None:
        """`manifest`: where files are listed as ours, so that `purge` finds them."""
        self._folder, self._manifest, self._model = folder, manifest, model
        self._of = {"model": model, "precision": precision, "revision": revision}

    def read(self, prompt: str, length: int) -> Embedding | None:
        """Return what is stored for a prompt at a text length in tokens; None: nothing."""
        file = self._file(prompt, length)
        try:
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
                tokens, pooled = stored["tokens"], stored["pooled"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        good = tokens.dtype == pooled.dtype == np.float32 and tokens.ndim == 3 and pooled.ndim == 2
        if not good or not (np.isfinite(tokens).all() and np.isfinite(pooled).all()):
            return None
        with suppress(OSError):
            os.utime(file)  # the oldest go first
        return Embedding(tokens, pooled)

    def write(self, prompt: str, length: int, embedding: Embedding) -> None:
        """Store an embedding, whole or not at all; a full disk is no reason to fail."""
        file = self._file(prompt, length)
        new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as opened:
                np.savez(opened, tokens=embedding.tokens, pooled=embedding.pooled)
                opened.flush()
                os.fsync(opened.fileno())
            if self._manifest is not None:
                self._manifest.add([self._owned(file, new.stat().st_size)])
            new.replace(file)
            self._drop_oldest()
        except (OSError, SceneRefused):  # a full disk, a damaged manifest
            return
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def _file(self, prompt: str, length: int) -> Path:
        """Name it by all that it depends on; the prompt itself stands nowhere."""
        key = json.dumps([self._of, length, prompt], sort_keys=True)
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"

    def _path(self, file: Path) -> str:
        """Below the folder of models: embeddings/<model>/<name>."""
        return file.relative_to(self._folder.parents[1]).as_posix()

    def _owned(self, file: Path, size_bytes: int) -> OwnedFile:
        return OwnedFile(self._path(file), self._model, "embedding", size_bytes)

    def _drop_oldest(self) -> None:
        files = sorted(self._folder.glob("*.npz"), key=lambda file: file.stat().st_mtime_ns)
        for file in files[:-MOST_KEPT]:
            file.unlink(missing_ok=True)
            if self._manifest is not None:
                self._manifest.remove([self._path(file)])
