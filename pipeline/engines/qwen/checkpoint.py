"""A checkpoint's directory: what it must hold, what is read of it, and its short hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.engines.qwen.quantisation import Quantisation, quantisation_of
from edgewatch.pipeline.engines.qwen.weights import check_weights
from edgewatch.pipeline.engines.weight_signs import weight_signs
from edgewatch.pipeline.errors import EngineFailed

MODEL_TYPE = "qwen2_5_vl"
DOWNLOAD = "download the checkpoint again, whole (hf download NAME --local-dir DIRECTORY)"

_PIXEL_FILES = (
    ("processor_config.json", "video_processor"),
    ("video_preprocessor_config.json", ""),
    ("preprocessor_config.json", ""),
)
"""Where the video's rules stand, first come first served, as transformers looks for them."""


@dataclass(frozen=True, slots=True)
class PixelRules:
    """How the model was taught to see: from a frame's bytes to its patches."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    rescale_factor: float
    """Of a byte, before the mean is taken off."""
    patch: int = 14
    """Side of a patch in pixels."""
    temporal_patch: int = 2
    """Frames that share a patch."""
    merge: int = 2
    """So many patches, across and down, become one token."""

    @property
    def side(self) -> int:
        """Pixels of a token's side: what a frame's sides must be multiples of."""
        return self.patch * self.merge

    @property
    def patch_values(self) -> int:
        """Numbers in one patch: channels x frames x rows x columns."""
        return 3 * self.temporal_patch * self.patch**2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A directory that was looked through and can be loaded."""

    directory: Path
    hash: str
    """First 8 digits of a SHA-256 of config.json, tokenizer.json, the pixel rules and, of each file
    of weights, its name, size, header and 16 samples of 4 KiB: enough to tell two checkpoints
    apart within milliseconds. It is no proof that a file is whole."""
    pixels: PixelRules
    tokens_per_second: float
    video_token: int
    stop_tokens: tuple[int, ...]
    quantisation: Quantisation | None

    @property
    def name(self) -> str:
        """Directory and hash: "Cosmos-Reason1-7B@1a2b3c4d"."""
        return f"{self.directory.name}@{self.hash}"


def read_checkpoint(directory: Path) -> Checkpoint:
    """Look a directory through. Raises EngineFailed with what is missing and the cure.

    Source: the layout of Qwen/Qwen2.5-VL-7B-Instruct and nvidia/Cosmos-Reason1-7B.
    """
    if not directory.is_dir():
        raise EngineFailed(
            f"[engine] model: {directory} is no directory",
            "set it to a checkpoint in Hugging Face's layout (config.json, tokenizer.json, "
            "*.safetensors)",
        )
    config = _json(directory, "config.json")
    if config.get("model_type") != MODEL_TYPE:
        raise EngineFailed(
            f"{directory / 'config.json'} is of a model of type {config.get('model_type')!r}, and "
            f'kind = "transformers" runs {MODEL_TYPE!r}',
            "set [engine] model to Cosmos-Reason1-7B, Qwen2.5-VL or a sibling",
        )
    if not (directory / "tokenizer.json").is_file():
        raise missing(directory / "tokenizer.json")
    pixels_of = _pixel_table(directory)
    vision = config.get("vision_config") or {}
    check_weights(directory)
    return Checkpoint(
        directory=directory,
        hash=_hash(directory, pixels_of, weight_signs(directory)),
        pixels=_pixel_rules(directory, pixels_of, vision),
        tokens_per_second=_number(directory, vision, "tokens_per_second"),
        video_token=int(_number(directory, config, "video_token_id")),
        stop_tokens=_stop_tokens(directory, config),
        quantisation=quantisation_of(directory, config),
    )


def missing(file: Path) -> EngineFailed:
    """Return the error for a file that a checkpoint lacks."""
    return EngineFailed(f"{file} is missing", DOWNLOAD)


def _json(directory: Path, name: str) -> dict[str, Any]:
    file = directory / name
    try:
        table = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise missing(file) from None
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{file} cannot be read ({error})", DOWNLOAD) from error
    if not isinstance(table, dict):
        raise EngineFailed(f"{file} holds no JSON object", DOWNLOAD)
    return table


def _number(directory: Path, table: Mapping[str, Any], key: str) -> float:
    """Take a number that config.json must hold: the library's defaults are not this model's."""
    value = table.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise EngineFailed(
            f"{directory / 'config.json'} lacks {key!r}, and there is no safe guess", DOWNLOAD
        )
    return value


def _pixel_table(directory: Path) -> dict[str, Any]:
    for name, section in _PIXEL_FILES:
        if not (directory / name).is_file():
            continue
        table = _json(directory, name)
        if section:
            table = table.get(section) or {}
        if table.get("image_mean"):
            return table
    raise missing(directory / "preprocessor_config.json")


def _pixel_rules(
    directory: Path, table: Mapping[str, Any], vision: Mapping[str, Any]
) -> PixelRules:
    try:
        mean, std = (
            tuple(float(value) for value in table[key]) for key in ("image_mean", "image_std")
        )
        rules = PixelRules(
            mean=(mean[0], mean[1], mean[2]),
            std=(std[0], std[1], std[2]),
            rescale_factor=float(table.get("rescale_factor", 1 / 255)),
            patch=int(vision.get("patch_size", 14)),
            temporal_patch=int(vision.get("temporal_patch_size", 2)),
            merge=int(vision.get("spatial_merge_size", 2)),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise EngineFailed(
            f"{directory}: image_mean and image_std of the preprocessor are not three numbers "
            f"each ({error!r})",
            DOWNLOAD,
        ) from error
    if rules.side != 28 or rules.temporal_patch != 2:
        raise EngineFailed(
            f"{directory}: a token is {rules.side} pixels wide and {rules.temporal_patch} frames "
            "long in this model, and clips are cut for 28 and 2",
            "set [engine] model to Cosmos-Reason1-7B, Qwen2.5-VL or a sibling",
        )
    return rules


def _stop_tokens(directory: Path, config: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the tokens that end a text; none is no error: the token budget ends it too."""
    generation = directory / "generation_config.json"
    table = _json(directory, generation.name) if generation.is_file() else {}
    ends = table.get("eos_token_id", config.get("eos_token_id"))
    return tuple(ends) if isinstance(ends, list) else () if ends is None else (int(ends),)


def _hash(directory: Path, pixels: Mapping[str, Any], signs: Iterable[bytes]) -> str:
    digest = hashlib.sha256((directory / "config.json").read_bytes())
    digest.update((directory / "tokenizer.json").read_bytes())
    digest.update(json.dumps(pixels, sort_keys=True).encode())
    for sign in signs:
        digest.update(sign)
    return digest.hexdigest()[:8]
