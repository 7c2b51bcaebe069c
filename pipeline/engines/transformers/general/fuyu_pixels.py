"""Fuyu's pictures: patches of 30 x 30 pixels in lines, as they are.

The library's own processor needs torchvision (its other one fails on what it was given), so its
rules stand here. Source: transformers, models/fuyu/image_processing_fuyu.py and
processing_fuyu.py: shrunk to fit if it is larger, filled up with 1 to whole patches, bytes to
-1..1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.transformers.general.picture_rules import side_of, triple

if TYPE_CHECKING:
    import torch

_LARGEST = {"height": 1080, "width": 1920}
_PATCH = {"height": 30, "width": 30}


@dataclass(frozen=True, slots=True)
class FuyuPixels:
    """The rules of a checkpoint."""

    largest: tuple[int, int]
    """Height and width."""
    patch: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    rescale_factor: float
    filling: float
    """Of what is missing to a whole patch, as a byte would be."""

    @classmethod
    def of(cls, rules: Mapping[str, Any]) -> FuyuPixels:
        """Read a processor's rules. Raises EngineFailed."""
        return cls(
            largest=side_of(rules, "size", _LARGEST),
            patch=side_of(rules, "patch_size", _PATCH),
            mean=triple(rules, "image_mean", 0.5),
            std=triple(rules, "image_std", 0.5),
            rescale_factor=float(rules.get("rescale_factor", 1 / 255)),
            filling=float(rules.get("padding_value", 1.0)),
        )

    def patches(self, picture: npt.NDArray[np.uint8]) -> tuple[torch.Tensor, int, int]:
        """Cut a picture, RGB of shape (height, width, 3), into lines of patches.

        Returns float32 of shape (patches, values of a patch: row, column, colour), and how many
        lines and columns there are.
        """
        import torch

        shown = self._fitted(picture).astype(np.float32)
        high, wide = self.patch
        lines, columns = -(-shown.shape[0] // high), -(-shown.shape[1] // wide)
        whole = np.full((lines * high, columns * wide, 3), self.filling, np.float32)
        whole[: shown.shape[0], : shown.shape[1]] = shown
        mean, std = (np.asarray(one, np.float32) for one in (self.mean, self.std))
        values = (whole * np.float32(self.rescale_factor) - mean) / std
        cut = values.reshape(lines, high, columns, wide, 3).swapaxes(1, 2)
        return torch.from_numpy(cut.reshape(lines * columns, -1).copy()), lines, columns

    def _fitted(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        from PIL import Image

        height, width = picture.shape[:2]
        most_high, most_wide = self.largest
        if height <= most_high and width <= most_wide:
            return picture
        scale = min(most_high / height, most_wide / width)
        size = int(width * scale), int(height * scale)
        return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
