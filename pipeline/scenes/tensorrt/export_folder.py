"""Export folder: the ONNX files of one model and precision, exported here or fetched ready-made.

    <folder>/facts.json                 what the arithmetic around the networks needs
    <folder>/tokenizer, tokenizer_2/    copies
    <folder>/<part>/model.onnx          and its data beside it
    <folder>/<part>.json                written last: files with size and sha256, source

Black Forest Labs' ready exports lie in `clip.opt/`, `t5.opt/`, `transformer.opt/<precision>/` and
`vae.opt/` instead; their data files have any name, so the whole folder belongs to the part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.diffusion.facts import (
    DiffusionFacts,
    facts_of_json,
    facts_of_pipeline,
)
from edgewatch.pipeline.scenes.json_file import read_json, write_json
from edgewatch.pipeline.scenes.tensorrt.resize_patch import PATCHED_NAME
from edgewatch.pipeline.scenes.tensorrt.tensors import Tensor

_READ_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ExportedPart:
    """One network on disk."""

    part: str
    graph: Path
    """The ONNX file; its weights may lie in others beside it."""
    files: Mapping[str, tuple[int, str]]
    """Bytes and sha256 of every file of the part, by name within its folder."""
    source: str
    """What it was made of: see `source_mark`; "fetched" of a ready export."""
    inputs: tuple[Tensor, ...]
    """What it takes."""

    @property
    def size_bytes(self) -> int:
        """Return what all its files take."""
        return sum(size for size, _ in self.files.values())


class ExportFolder:
    """Reads and writes the records of one folder."""

    def __init__(self, root: Path, precision: str) -> None:
        self.root = root
        self._precision = precision

    def facts(self, model_dir: Path, text_length: int) -> DiffusionFacts:
        """Read the facts, as written here or else of `described`. Raises SceneUnavailable."""
        if row := read_json(self.facts_file):
            return facts_of_json(row)
        return facts_of_folder(self.described(model_dir), text_length)

    def described(self, model_dir: Path) -> Path:
        """Return the folder with the model's configuration: this one, if it was fetched here."""
        return self.root if (self.root / "model_index.json").is_file() else model_dir

    def tokenizers(self, model_dir: Path) -> Path:
        """Return the folder in which `tokenizer` and `tokenizer_2` lie."""
        return self.root if (self.root / "tokenizer").is_dir() else model_dir

    def write_facts(self, facts: DiffusionFacts) -> None:
        """Write the facts down."""
        write_json(self.facts_file, facts.as_json())

    @property
    def facts_file(self) -> Path:
        """What `write_facts` writes."""
        return self.root / "facts.json"

    def part(self, part: str) -> ExportedPart | None:
        """Return what is there of a part; None: nothing, or not all of it.

        The files' sizes are compared with the record, their content is not: see `verify`.
        """
        graph = self.graph_of(part)
        row = read_json(self.record_file(part))
        if graph is None or row.get("graph") != graph.relative_to(self.root).as_posix():
            return None
        try:
            listed = {name: (int(one[0]), str(one[1])) for name, one in row["files"].items()}
            inputs = tuple(_read_tensor(one) for one in row["inputs"])
            found = ExportedPart(part, graph, listed, str(row["source"]), inputs)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise SceneRefused(f"{self.record_file(part)} is damaged: remove it") from error
        whole = all(_size(graph.parent / name) == size for name, (size, _) in listed.items())
        return found if whole else None

    def graph_of(self, part: str) -> Path | None:
        """Return the ONNX file of a part, our own before a ready one; None without either."""
        places = (
            self.root / part / "model.onnx",
            self.root / f"{part}.opt" / self._precision / "model.onnx",
            self.root / f"{part}.opt" / "model.onnx",
        )
        return next((place for place in places if place.is_file()), None)

    def record(self, part: str, source: str) -> ExportedPart:
        """Hash the files of a part that is complete, and write its record."""
        graph = self.graph_of(part)
        if graph is None:
            raise SceneUnavailable(f"there is no ONNX export of {part} in {self.root}: build it")
        files = {
            path.relative_to(graph.parent).as_posix(): (path.stat().st_size, file_sha256(path))
            for path in sorted(graph.parent.rglob("*"))
            if path.is_file() and path.name != PATCHED_NAME and not path.name.startswith(".")
        }
        inputs = graph_inputs(graph)
        row = {
            "graph": graph.relative_to(self.root).as_posix(),
            "inputs": [[one.name, one.dtype, list(one.shape)] for one in inputs],
            "files": {name: list(one) for name, one in files.items()},
            "source": source,
        }
        write_json(self.record_file(part), row)
        return ExportedPart(part, graph, files, source, inputs)

    def verify(self, exported: ExportedPart) -> None:
        """Read every file again. Raises SceneUnavailable, which names the one that changed."""
        for name, (_, sha256) in exported.files.items():
            path = exported.graph.parent / name
            if file_sha256(path) != sha256:
                raise SceneUnavailable(f"{path} has changed since it was written: export it again")

    def forget(self, part: str) -> None:
        """Take the record of a part away, before its files change."""
        self.record_file(part).unlink(missing_ok=True)

    def record_file(self, part: str) -> Path:
        """What `record` writes."""
        return self.root / f"{part}.json"


def facts_of_folder(model_dir: Path, text_length: int) -> DiffusionFacts:
    """Read the facts of a model in diffusers' layout. Raises SceneUnavailable."""
    network = "transformer" if (model_dir / "transformer").is_dir() else "unet"
    names = (
        "model_index.json",
        f"{network}/config.json",
        "vae/config.json",
        "scheduler/scheduler_config.json",
    )
    rows = [read_json(model_dir / name) for name in names]
    for name, row in zip(names, rows, strict=True):
        if not row:
            raise SceneUnavailable(f"{model_dir / name} is not there: fetch the model first")
    return facts_of_pipeline(rows[0], rows[1], rows[2], rows[3], text_length)


def graph_inputs(graph: Path) -> tuple[Tensor, ...]:
    """Read what an ONNX file takes; its weights are not read. Raises SceneUnavailable."""
    try:
        import onnx
    except ImportError as error:
        raise SceneUnavailable(
            "onnx is not installed, which reads exports: pip install 'edgewatch[scenes]'"
        ) from error
    try:
        model = onnx.load(str(graph), load_external_data=False)
    except Exception as error:  # protobuf's own errors have no common class
        raise SceneUnavailable(f"{graph} is no ONNX file ({error}): export it again") from error
    weights = {one.name for one in model.graph.initializer}
    return tuple(_of_value(one) for one in model.graph.input if one.name not in weights)


def _of_value(value: Any) -> Tensor:
    import onnx

    kind = value.type.tensor_type
    name = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
    dtype = {"float": "float32", "float8e4m3fn": "float8_e4m3fn"}.get(name, name)
    shape = tuple(one.dim_value if one.HasField("dim_value") else None for one in kind.shape.dim)
    return Tensor(value.name, dtype, shape)


def _read_tensor(row: Any) -> Tensor:
    name, dtype, shape = row
    return Tensor(str(name), str(dtype), tuple(None if one is None else int(one) for one in shape))


def source_mark(folder: Path) -> str:
    """Return a mark of a part's weights: their configuration, their names and sizes.

    It tells another revision of a model apart without reading tens of gigabytes.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix == ".safetensors":
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        elif path.name == "config.json":
            row: Any = json.loads(path.read_text())
            digest.update(json.dumps(row, sort_keys=True).encode())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return a file's sha256. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
