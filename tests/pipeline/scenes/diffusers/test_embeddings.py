from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from edgewatch.pipeline.scenes.diffusers.embeddings import MOST_KEPT, Embedding, Embeddings
from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.manifest import Manifest


def embedding(value: float = 0.5) -> Embedding:
    return Embedding(np.full((1, 4, 3), value, np.float32), np.full((1, 3), value, np.float32))


def embeddings(root: Path, **other: str) -> Embeddings:
    key = {"model": "sdxl", "precision": "fp16", "revision": "1"} | other
    return Embeddings(root / "embeddings" / "sdxl", **key, manifest=Manifest(ModelFolder(root)))


def test_what_was_written_is_read_and_listed_as_ours(tmp_path: Path) -> None:
    store = embeddings(tmp_path)
    store.write("a road", 77, embedding())
    found = store.read("a road", 77)
    assert found is not None
    assert np.array_equal(found.tokens, embedding().tokens)
    (listed,) = Manifest(ModelFolder(tmp_path)).files()
    assert (tmp_path / listed.path).stat().st_size == listed.size_bytes
    assert "road" not in listed.path


def test_another_prompt_length_precision_or_revision_finds_nothing(tmp_path: Path) -> None:
    embeddings(tmp_path).write("a road", 77, embedding())
    assert embeddings(tmp_path).read("a roaD", 77) is None
    assert embeddings(tmp_path).read("a road", 256) is None
    for other in ({"precision": "bf16"}, {"revision": "2"}, {"model": "flux.1-dev"}):
        assert embeddings(tmp_path, **other).read("a road", 77) is None


def test_a_damaged_file_is_encoded_anew(tmp_path: Path) -> None:
    store = embeddings(tmp_path)
    for damaged in (b"", b"PK\x03\x04 cut off", b"\x00" * 200):
        store.write("a road", 77, embedding())
        (file,) = (tmp_path / "embeddings" / "sdxl").glob("*.npz")
        file.write_bytes(damaged)
        assert store.read("a road", 77) is None
    store.write("a road", 77, embedding(float("nan")))
    assert store.read("a road", 77) is None


def test_the_folder_keeps_the_latest(tmp_path: Path) -> None:
    folder = tmp_path / "embeddings" / "sdxl"
    folder.mkdir(parents=True)
    for number in range(MOST_KEPT):
        old = folder / f"{number:03}.npz"
        old.touch()
        os.utime(old, (number, number))
    embeddings(tmp_path).write("a road", 77, embedding())
    left = {file.name for file in folder.iterdir()}
    assert len(left) == MOST_KEPT
    assert "000.npz" not in left
    assert "001.npz" in left


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "embeddings").write_text("a file")
    store = embeddings(tmp_path)
    store.write("a road", 77, embedding())
    assert store.read("a road", 77) is None
