"""How a family's video processor was set, read without it: it would need torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules
from edgewatch.pipeline.engines.transformers.general.files import broken, read_object

_FILES = (
    ("processor_config.json", "video_processor"),
    ("video_preprocessor_config.json", ""),
    ("preprocessor_config.json", ""),
    ("processor_config.json", "image_processor"),
)
"""Where the settings stand, first come first served, as the library looks for them."""


def video_settings(directory: Path) -> dict[str, Any]:
    """Return the settings of a checkpoint's video processor, or of its image processor.

    Raises EngineFailed if there are none.
    """
    for name, section in _FILES:
        table = read_object(directory / name)
        table = table.get(section) or {} if section else table
        if table.get("image_mean"):
            return dict(table)
    raise broken(directory, "preprocessor_config.json", "it is missing, or has no image_mean")


def pixel_rules(directory: Path, vision: Mapping[str, Any]) -> PixelRules:
    """Return how patches are made; `vision` is config.json's vision_config. Raises EngineFailed."""
    table = video_settings(directory)
    try:
        mean, std = (
            tuple(float(value) for value in table[key]) for key in ("image_mean", "image_std")
        )
        return PixelRules(
            mean=(mean[0], mean[1], mean[2]),
            std=(std[0], std[1], std[2]),
            rescale_factor=float(table.get("rescale_factor") or 1 / 255),
            patch=int(vision["patch_size"]),
            temporal_patch=int(vision["temporal_patch_size"]),
            merge=int(vision["spatial_merge_size"]),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise broken(directory, "preprocessor_config.json or config.json", repr(error)) from error
