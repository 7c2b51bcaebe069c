"""What a checkpoint's processor file says of how its pictures are prepared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewatch.pipeline.engines.transformers.general.files import broken, read_object
from edgewatch.pipeline.errors import EngineFailed

_AGAIN = "download the checkpoint again, whole (hf download NAME --local-dir DIRECTORY)"
_FILES = (("processor_config.json", "image_processor"), ("preprocessor_config.json", ""))
"""First come first served, as the library looks for them."""


def picture_rules(directory: Path) -> Mapping[str, Any]:
    """Return what the checkpoint says of its pictures. Raises EngineFailed if it says nothing."""
    for name, section in _FILES:
        table = read_object(directory / name)
        rules = table.get(section) if section else table
        if isinstance(rules, dict) and "image_processor_type" in rules:
            return rules
    raise broken(directory, "image processor", "preprocessor_config.json is missing")


def side_of(rules: Mapping[str, Any], key: str, default: Mapping[str, int]) -> tuple[int, int]:
    """Return (height, width) of an entry that is a number or a table of both.

    Raises EngineFailed if it is neither.
    """
    value = rules.get(key, default)
    if isinstance(value, int) and value > 0:
        return value, value
    try:
        height, width = int(value["height"]), int(value["width"])
    except (KeyError, TypeError, ValueError) as error:
        raise EngineFailed(f"the processor's {key} is no height and width", _AGAIN) from error
    if min(height, width) < 1:
        raise EngineFailed(f"the processor's {key} is not above 0", _AGAIN)
    return height, width


def triple(rules: Mapping[str, Any], key: str, default: float) -> tuple[float, float, float]:
    """Return a number for each colour; one stands for all. Raises EngineFailed."""
    value = rules.get(key, default)
    values = [value] * 3 if isinstance(value, int | float) else value
    try:
        red, green, blue = (float(one) for one in values)
    except (TypeError, ValueError) as error:
        raise EngineFailed(f"the processor's {key} is not three numbers", _AGAIN) from error
    return red, green, blue
