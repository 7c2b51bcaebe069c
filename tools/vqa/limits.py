"""Within which sizes a model is shown pictures: its own limits, those of clips, or a number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgewatch.config.settings import Settings
from edgewatch.tools.vqa.pictures import SIDE, Sides

MOST_PIXELS = 1280 * SIDE * SIDE
"""1280 tokens, the upper end that Qwen2.5-VL's model card recommends. Its own limit is 16,384
tokens, for which memory would have to be planned that these data sets never use."""
LEAST_PIXELS = 4 * SIDE * SIDE
_FILES = (
    ("preprocessor_config.json", ""),
    ("processor_config.json", "image_processor"),
)
_AREA = 2_000
"""A `size` below this is a side and no area."""


def sides_of(settings: Settings, wanted: str | int) -> Sides:
    """Return the sizes for an engine; `wanted` is "model", "clips", or a number of pixels."""
    if wanted == "clips":
        most = settings.clips.pixels
        return Sides(min(LEAST_PIXELS, most), max(SIDE * SIDE, most), "[clips] pixels")
    if isinstance(wanted, int):
        return Sides(min(LEAST_PIXELS, wanted), wanted, "--pixels")
    own = _of_checkpoint(settings.engine.model) if settings.engine.model else None
    if own is None:
        return Sides(LEAST_PIXELS, MOST_PIXELS, "edgewatch's limit; the model states none")
    least, most = own
    if most > MOST_PIXELS:
        whose = f"edgewatch's limit; the model's own is {most}"
        return Sides(min(least, MOST_PIXELS), MOST_PIXELS, whose)
    return Sides(min(least, most), most, "the model's own limit")


def _of_checkpoint(directory: Path) -> tuple[int, int] | None:
    """Return the (least, most) pixels that a checkpoint's image processor states."""
    for name, section in _FILES:
        try:
            table = json.loads((directory / name).read_text("utf-8"))
        except (OSError, ValueError):
            continue  # starting the engine will say what is wrong with it
        found = _limits_in(table.get(section) if section else table)
        if found is not None:
            return found
    return None


def _limits_in(table: Any) -> tuple[int, int] | None:
    if not isinstance(table, dict):
        return None
    size = table.get("size")
    size = size if isinstance(size, dict) else {}
    least = table.get("min_pixels") or size.get("shortest_edge")
    most = table.get("max_pixels") or size.get("longest_edge")
    if not isinstance(least, int) or not isinstance(most, int):
        return None
    return (least, most) if _AREA < least <= most else None
