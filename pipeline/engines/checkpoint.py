"""A checkpoint's directory: is it whole, what shape has its model, what does it hold?

Reads config.json and the headers of safetensors files, never a weight.
Source of the format: huggingface/safetensors, README, "Format": 8 bytes little-endian length of
the header, the header in JSON, then the tensors' bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import EngineFailed

INDEX = "model.safetensors.index.json"
ONE_FILE = "model.safetensors"
MOST_HEADER_BYTES = 100_000_000
"""As in the format's own reader."""

_AGAIN = "download the checkpoint again (docs/engines.md)"
_IN_A_LAYER = re.compile(r"\.(layers|blocks)\.\d+\..*weight$")


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes of a Qwen2.5-VL model that decide what it takes."""

    layers: int
    hidden_size: int
    mlp_size: int
    kv_heads: int
    head_size: int
    vision_hidden_size: int
    vision_mlp_size: int
    patch_size: int
    spatial_merge_size: int
    temporal_patch_size: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a header."""

    name: str
    dtype: str
    """As safetensors writes it: BF16, F16, F32, F8_E4M3, I8, U8, ..."""
    shape: tuple[int, ...]
    stored_bytes: int

    @property
    def elements(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    @property
    def is_linear_of_a_layer(self) -> bool:
        """Whether it is a matrix of a layer, and so neither an embedding nor the head."""
        return len(self.shape) == 2 and bool(_IN_A_LAYER.search(self.name))


def geometry_of(checkpoint: Path) -> Geometry:
    """Read the model's sizes from config.json.

    Newer files keep the language model's under "text_config", older ones at the top. Raises
    EngineFailed if the directory, the file or a size is missing.
    """
    config = _json_of(_present(checkpoint, "config.json"))
    text, vision = config.get("text_config", config), config.get("vision_config")
    if not isinstance(text, dict) or not isinstance(vision, dict):
        raise EngineFailed(
            f"{checkpoint / 'config.json'} describes no model that sees",
            "set [engine] model to a checkpoint of the Qwen2.5-VL family, as Cosmos-Reason1-7B",
        )
    try:
        heads = int(text["num_attention_heads"])
        return Geometry(
            layers=int(text["num_hidden_layers"]),
            hidden_size=int(text["hidden_size"]),
            mlp_size=int(text["intermediate_size"]),
            kv_heads=int(text["num_key_value_heads"]),
            head_size=int(text.get("head_dim") or int(text["hidden_size"]) // heads),
            vision_hidden_size=int(vision["hidden_size"]),
            vision_mlp_size=int(vision["intermediate_size"]),
            patch_size=int(vision.get("patch_size", 14)),
            spatial_merge_size=int(vision.get("spatial_merge_size", 2)),
            temporal_patch_size=int(vision.get("temporal_patch_size", 2)),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise EngineFailed(
            f"{checkpoint / 'config.json'} lacks a size of the model ({error})",
            "set [engine] model to a checkpoint of the Qwen2.5-VL family, as Cosmos-Reason1-7B",
        ) from error


def tensors_of(checkpoint: Path) -> Iterator[Tensor]:
    """Yield what the checkpoint's safetensors files hold.

    Raises EngineFailed if a file is missing, cut short or no safetensors file.
    """
    for file in weight_files(checkpoint):
        yield from tensors_in(file)


def weight_files(checkpoint: Path) -> list[Path]:
    """Return the files of weights. Raises EngineFailed if one that the index names is missing."""
    if (checkpoint / INDEX).is_file():
        named = _json_of(checkpoint / INDEX).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise EngineFailed(f"{checkpoint / INDEX} names no files", _AGAIN)
        return [_present(checkpoint, str(name)) for name in sorted(set(named.values()))]
    return [_present(checkpoint, ONE_FILE)]


def tensors_in(file: Path) -> Iterator[Tensor]:
    """Yield what one file holds. Raises EngineFailed if it is cut short or no safetensors file."""
    size_bytes = file.stat().st_size
    with file.open("rb") as stream:
        header_bytes = int.from_bytes(stream.read(8), "little")
        if size_bytes < 8 or header_bytes > min(MOST_HEADER_BYTES, size_bytes - 8):
            raise EngineFailed(f"{file} is cut short, or no safetensors file", _AGAIN)
        text = stream.read(header_bytes)
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        tensors = [
            Tensor(name, str(one["dtype"]), tuple(map(int, one["shape"])), _length(one))
            for name, one in header.items()
        ]
        end_bytes = max((int(one["data_offsets"][1]) for one in header.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise EngineFailed(f"{file} has a header that cannot be read ({error})", _AGAIN) from error
    if 8 + header_bytes + end_bytes > size_bytes:
        raise EngineFailed(
            f"{file} is cut short: {size_bytes} of {8 + header_bytes + end_bytes} bytes", _AGAIN
        )
    yield from tensors


def _length(entry: dict[str, Any]) -> int:
    begin, end = entry["data_offsets"]
    return int(end) - int(begin)


def _present(checkpoint: Path, name: str) -> Path:
    if not checkpoint.is_dir():
        raise EngineFailed(
            f"there is no directory {checkpoint}",
            "set [engine] model to the directory of a checkpoint; docs/engines.md says how to "
            "download one",
        )
    # A name of an index is data: it must not lead out of the checkpoint.
    if Path(name).name != name:
        raise EngineFailed(f"{checkpoint / INDEX} names a file elsewhere: {name}", _AGAIN)
    if not (checkpoint / name).is_file():
        raise EngineFailed(f"{checkpoint} lacks {name}", _AGAIN)
    return checkpoint / name


def _json_of(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{file} cannot be read ({error})", _AGAIN) from error
    if not isinstance(value, dict):
        raise EngineFailed(f"{file} holds no JSON object", _AGAIN)
    return value
