"""Phi-4-multimodal's pictures: crops of a square size, and the whole picture once more, small.

The library's processor needs torchvision; its rules stand here in torch alone. Source:
transformers, models/phi4_multimodal/image_processing_phi4_multimodal.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.transformers.general.picture_rules import side_of, triple
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

_SIZE = {"height": 448, "width": 448}
_LEAST_SIDE = 10
"""Pixels that must be left of a side: a narrower strip is refused, as in the library."""


@dataclass(frozen=True, slots=True, eq=False)
class Cropped:
    """One picture as the model takes it."""

    pixels: torch.Tensor
    """float32, shape (1 + crops, 3, side, side); the first is the whole picture."""
    mask: torch.Tensor
    """float32, shape (1 + crops, lines, columns of patches): 1 where there is picture."""
    height: int
    width: int
    """Of all crops together, in pixels."""
    tokens: int


@dataclass(frozen=True, slots=True)
class Phi4Pixels:
    """The rules of a checkpoint."""

    side: int
    patch: int
    most_crops: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def of(cls, rules: Mapping[str, Any]) -> Phi4Pixels:
        """Read a processor's rules. Raises EngineFailed."""
        side, width = side_of(rules, "size", _SIZE)
        patch = int(rules.get("patch_size", 14))
        if side != width or patch < 1 or side % (2 * patch):
            raise EngineFailed(
                f"a crop of {side} x {width} is no square of pairs of patches of {patch}",
                "take preprocessor_config.json of the same checkpoint",
            )
        return cls(
            side=side,
            patch=patch,
            most_crops=int(rules.get("dynamic_hd", 36)),
            mean=triple(rules, "image_mean", 0.5),
            std=triple(rules, "image_std", 0.5),
        )

    @property
    def patches(self) -> int:
        """Of a crop's side."""
        return self.side // self.patch

    def cropped(self, picture: npt.NDArray[np.uint8]) -> Cropped:
        """Cut a picture, RGB of shape (height, width, 3). Raises EngineFailed if it is a strip."""
        import torch
        from torch.nn.functional import interpolate, pad

        height, width = picture.shape[:2]
        across, down = self._grid(height, width)
        new_height, new_width = self._scaled(height, width, across, down)
        right, below = across * self.side - new_width, down * self.side - new_height
        image = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
        image = interpolate(
            image, (new_height, new_width), mode="bilinear", align_corners=False, antialias=True
        )
        # Bytes again, as the library's resizing of bytes gives; what is missing is white.
        image = pad(image.round().clamp(0, 255), (0, right, 0, below), value=255.0)
        mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (self.mean, self.std))
        image = (image / 255 - mean) / std
        whole = interpolate(image, (self.side, self.side), mode="bicubic", align_corners=False)
        crops = image.view(3, down, self.side, across, self.side).permute(1, 3, 0, 2, 4)
        mask = torch.ones(down * self.patches, across * self.patches)
        if right >= self.patch:
            mask[:, -(right // self.patch) :] = 0
        if below >= self.patch:
            mask[-(below // self.patch) :, :] = 0
        masks = mask.view(down, self.patches, across, self.patches).transpose(1, 2)
        ones = torch.ones(1, self.patches, self.patches)
        return Cropped(
            pixels=torch.cat([whole, crops.reshape(-1, 3, self.side, self.side)]),
            mask=torch.cat([ones, masks.reshape(-1, self.patches, self.patches)]),
            height=down * self.side,
            width=across * self.side,
            tokens=self._tokens(mask),
        )

    def _tokens(self, mask: torch.Tensor) -> int:
        """Count the tokens: two patches across and down are one; a line and a picture end in one.

        `mask`: of all crops together, shape (lines, columns).
        """
        whole = (self.patches // 2) ** 2 + self.patches // 2
        seen = mask[::2, ::2]
        return whole + 1 + int(seen.sum()) + int(seen[:, 0].sum())

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        """Return how many crops lie across and down."""
        across, down = math.ceil(width / self.side), math.ceil(height / self.side)
        if across * down <= self.most_crops:
            return across, down
        grids = [
            (a, b)
            for a, b in itertools.product(range(1, self.most_crops + 1), repeat=2)
            if a * b <= self.most_crops
        ]
        # Of grids that fit alike the library takes the larger, if the picture is large enough.
        best, least = (1, 1), math.inf
        for a, b in sorted(grids, key=lambda grid: grid[0] * grid[1]):
            away = abs(width / height - a / b)
            if away < least or (
                away == least and width * height > 0.5 * self.side * self.side * a * b
            ):
                best, least = (a, b), away
        return best

    def _scaled(self, height: int, width: int, across: int, down: int) -> tuple[int, int]:
        """Return height and width of the picture that fits into the crops."""
        by_width, by_height = across * self.side / width, down * self.side / height
        if by_width < by_height:
            size = int(height * by_width), across * self.side
        else:
            size = down * self.side, int(width * by_height)
        if min(size) < _LEAST_SIDE:
            raise EngineFailed(
                f"a picture of {width} x {height} is too narrow for this model",
                "choose a region of another shape",
            )
        return size


def stacked(pictures: Sequence[Cropped]) -> dict[str, torch.Tensor]:
    """Return pictures as the model's inputs; those with fewer crops are filled up."""
    import torch
    from torch.nn.functional import pad

    most = max(len(one.pixels) for one in pictures)
    pixels = [pad(one.pixels, (0, 0) * 3 + (0, most - len(one.pixels))) for one in pictures]
    masks = [pad(one.mask, (0, 0) * 2 + (0, most - len(one.mask)), value=1.0) for one in pictures]
    return {
        "image_pixel_values": torch.stack(pixels),
        "image_attention_mask": torch.stack(masks),
        "image_sizes": torch.tensor([[one.height, one.width] for one in pictures]),
    }
