"""From a clip's bytes to the patches that the vision tower reads, on the device itself.

Equal, within rounding, to what the model's official video processor makes of frames of this size:
rescale, normalise, and cut into patches of 2 frames x 14 x 14 pixels, ordered so that the four
patches of one token follow each other. Source: `Qwen2VLVideoProcessor` of transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

Frames = npt.NDArray[np.uint8]
"""uint8 RGB, shape (frames, height, width, 3)."""


def grid_of(shape: tuple[int, ...], rules: PixelRules) -> Grid:
    """Return a clip's grid by its array's shape. Raises EngineFailed if it does not divide."""
    frames, height, width, channels = shape
    if frames % rules.temporal_patch or height % rules.side or width % rules.side or channels != 3:
        raise EngineFailed(
            f"a clip of {frames} frames of {width}x{height} does not divide into tokens of "
            f"{rules.temporal_patch} frames of {rules.side}x{rules.side}"
        )
    return Grid(frames // rules.temporal_patch, height // rules.side, width // rules.side)


def upload(clips: Sequence[Frames], device: torch.device) -> torch.Tensor:
    """Return clips of one shape on the device: uint8, (clips, frames, height, width, 3).

    For a GPU they are gathered in pinned memory, from which the copy runs by itself. On a CPU a
    single clip that may be written to is not copied at all (torch knows no read-only memory).
    """
    import torch

    if device.type == "cpu":
        alone = len(clips) == 1 and clips[0].flags.writeable
        return torch.from_numpy(clips[0][None] if alone else np.stack(clips))
    staged = torch.empty((len(clips), *clips[0].shape), dtype=torch.uint8, pin_memory=True)
    np.stack(clips, out=staged.numpy())
    return staged.to(device, non_blocking=True)


class Patcher:
    """Turns bytes into patches; its factors live on the device."""

    def __init__(self, rules: PixelRules, device: torch.device, dtype: torch.dtype) -> None:
        import torch

        self._rules = rules
        self._dtype = dtype
        self._room: _Room | None = None
        mean, std = (torch.tensor(each, dtype=torch.float64) for each in (rules.mean, rules.std))
        self._factor, self._offset = (
            each.to(device, torch.float32) for each in (rules.rescale_factor / std, -mean / std)
        )
        # One for each number of a patch, whose channels follow each other.
        self._factors, self._offsets = (
            each.repeat_interleave(rules.patch_values // 3) for each in (self._factor, self._offset)
        )

    def patches(self, clips: torch.Tensor) -> torch.Tensor:
        """Return (all clips' patches, numbers of a patch) of uint8 (clips, frames, h, w, 3).

        Clip after clip; within a clip by pair of frames, then token by token, row by row. On a CPU
        they are good until the next call, which writes over them.
        """
        values = self._on_host(clips) if clips.device.type == "cpu" else self._on_device(clips)
        return values.to(self._dtype)

    def _on_device(self, clips: torch.Tensor) -> torch.Tensor:
        import torch

        rules = self._rules
        count, frames, height, width, _ = clips.shape
        cut = clips.view(
            count,
            frames // rules.temporal_patch,
            rules.temporal_patch,
            height // rules.side,
            rules.merge,
            rules.patch,
            width // rules.side,
            rules.merge,
            rules.patch,
            3,
        ).permute(0, 1, 3, 6, 4, 7, 9, 2, 5, 8)
        values = torch.empty(cut.shape, dtype=torch.float32, device=clips.device)
        torch.mul(cut, self._factor.view(3, 1, 1, 1), out=values)
        return values.add_(self._offset.view(3, 1, 1, 1)).view(-1, rules.patch_values)

    def _on_host(self, clips: torch.Tensor) -> torch.Tensor:
        """Compute the same as a CPU does it best: pair by pair, so that all stays in its cache.

        A patch's row of pixels is moved as one piece, OpenCV parts the channels, and then the
        bytes become floats.
        """
        import torch

        rules = self._rules
        count, frames, height, width, _ = clips.shape
        row_of_patch = np.dtype((np.void, rules.patch * 3))
        pairs = (
            clips.numpy()
            .reshape(
                count * frames // rules.temporal_patch,
                rules.temporal_patch,
                height // rules.side,
                rules.merge,
                rules.patch,
                width // rules.side,
                rules.merge,
                rules.patch * 3,
            )
            .view(row_of_patch)[..., 0]
            .transpose(0, 2, 5, 3, 6, 1, 4)
        )
        a_pair = height * width // rules.patch**2
        room = self._room_for(len(pairs), a_pair)
        mixed = room.mixed.view(row_of_patch).reshape(pairs.shape[1:])
        for pair, made in zip(pairs, room.values, strict=True):
            np.copyto(mixed, pair)
            cv2.split(room.pixels, room.planes)
            made.copy_(room.parted)
            torch.addcmul(self._offsets, made, self._factors, out=made)
        return room.values.view(-1, rules.patch_values)

    def _room_for(self, pairs: int, a_pair: int) -> _Room:
        """Return room for clips of a shape, kept for those to come: fresh memory costs more."""
        if self._room is None or self._room.values.shape[:2] != (pairs, a_pair):
            self._room = _Room(pairs, a_pair, self._rules.patch_values)
        return self._room


class _Room:
    """Memory that patches are made in on a CPU."""

    def __init__(self, pairs: int, a_pair: int, patch_values: int) -> None:
        """`a_pair`: patches of a pair of frames."""
        import torch

        plane = patch_values // 3
        self.mixed = np.empty(a_pair * patch_values, np.uint8)
        """A pair's patches, red, green and blue in turn."""
        self.pixels = self.mixed.reshape(a_pair, plane, 3)
        parted = np.empty((a_pair, patch_values), np.uint8)
        self.planes = [parted[:, at : at + plane] for at in range(0, 3 * plane, plane)]
        self.parted = torch.from_numpy(parted)
        """The same, all red of a patch before all green before all blue."""
        # NumPy asks for huge pages where it allocates much, which torch does not
        self.values = torch.from_numpy(np.empty((pairs, a_pair, patch_values), np.float32))
        """Shape (pairs, patches of a pair, numbers of a patch)."""
