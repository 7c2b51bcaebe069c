"""The sizes of a Qwen2.5-VL, as its config.json states them. Nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import EngineFailed


@dataclass(frozen=True, slots=True)
class VisionSizes:
    """The tower that sees."""

    layers: int
    width: int
    heads: int
    mlp: int
    patch: int
    """Side of a patch in pixels."""
    merge: int
    """So many patches, across and down, become one token."""
    temporal_patch: int
    """Frames of a patch."""
    window: int
    """Side of a window in tokens: patches see no further, but in full layers."""
    full_layers: frozenset[int]
    """Layers whose patches see their whole pair of frames."""
    out_width: int
    """Of a token, as the language model takes it."""

    @property
    def head(self) -> int:
        """Width of a head."""
        return self.width // self.heads

    @property
    def patch_values(self) -> int:
        """Numbers of a patch."""
        return 3 * self.temporal_patch * self.patch**2

    @property
    def merged(self) -> int:
        """Patches of a token."""
        return self.merge**2


@dataclass(frozen=True, slots=True)
class LanguageSizes:
    """The model that reads."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    mlp: int
    vocabulary: int
    eps: float
    """Of its norms."""
    theta: float
    """Base of the rotary places."""
    sections: tuple[int, int, int]
    """Frequencies that turn with time, row and column; together half a head."""
    tied: bool
    """Whether the head is the table of embeddings."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Both."""

    vision: VisionSizes
    language: LanguageSizes


def read_sizes(directory: Path) -> Sizes:
    """Read config.json, in the flat layout of the family or the nested one of transformers 5.

    Raises EngineFailed naming the key that is missing or not understood.
    """
    file = directory / "config.json"
    try:
        config = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{file} cannot be read ({error})", "download it again") from error
    try:
        return sizes_of(config)
    except KeyError as error:
        raise EngineFailed(
            f"{file} lacks {error.args[0]!r}, and there is no safe guess",
            "take config.json and the weights from one checkpoint",
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise EngineFailed(
            f'{file} describes no model that kind = "native" runs ({error})',
            'set [engine] kind = "transformers", which may run it',
        ) from error


def sizes_of(config: Mapping[str, Any]) -> Sizes:
    """Read the sizes out of config.json's table. Raises KeyError, ValueError or TypeError."""
    text: Mapping[str, Any] = config.get("text_config") or config
    vision: Mapping[str, Any] = config["vision_config"]
    for name, part in (("text", text), ("vision", vision)):
        if part.get("hidden_act", "silu") != "silu":
            raise ValueError(f"hidden_act of the {name} model is {part['hidden_act']!r}")
    return Sizes(_vision(vision), _language(text, config))


def _vision(table: Mapping[str, Any]) -> VisionSizes:
    patch, merge = int(table["patch_size"]), int(table["spatial_merge_size"])
    sizes = VisionSizes(
        layers=int(table["depth"]),
        width=int(table["hidden_size"]),
        heads=int(table["num_heads"]),
        mlp=int(table["intermediate_size"]),
        patch=patch,
        merge=merge,
        temporal_patch=int(table["temporal_patch_size"]),
        window=int(table["window_size"]) // patch // merge,
        full_layers=frozenset(map(int, table["fullatt_block_indexes"])),
        out_width=int(table["out_hidden_size"]),
    )
    if sizes.width % sizes.heads or sizes.head % 4:
        raise ValueError(f"{sizes.heads} vision heads do not divide {sizes.width} evenly by 4")
    if sizes.window < 1:
        raise ValueError("a window is smaller than a token")
    return sizes


def _language(table: Mapping[str, Any], config: Mapping[str, Any]) -> LanguageSizes:
    rope: Mapping[str, Any] = table.get("rope_parameters") or table["rope_scaling"]
    heads = int(table["num_attention_heads"])
    sections = tuple(map(int, rope["mrope_section"]))
    theta = rope.get("rope_theta", table.get("rope_theta"))
    if theta is None:
        raise KeyError("rope_theta")
    head = int(table.get("head_dim") or int(table["hidden_size"]) // heads)
    if len(sections) != 3 or 2 * sum(sections) != head:
        raise ValueError(f"mrope_section {sections} does not divide half a head of {head}")
    return LanguageSizes(
        layers=int(table["num_hidden_layers"]),
        width=int(table["hidden_size"]),
        heads=heads,
        kv_heads=int(table["num_key_value_heads"]),
        head=head,
        mlp=int(table["intermediate_size"]),
        vocabulary=int(table["vocab_size"]),
        eps=float(table["rms_norm_eps"]),
        theta=float(theta),
        sections=(sections[0], sections[1], sections[2]),
        tied=bool(config.get("tie_word_embeddings", table.get("tie_word_embeddings", False))),
    )
