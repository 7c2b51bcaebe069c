"""Clips' pixels to the features that the language model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.vision import Vision

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.qwen.pixels import Frames


class Seer:
    """Shows clips to the tower, pairs of frames of one size together. One thread only."""

    def __init__(self, vision: Vision, device: torch.device) -> None:
        self._vision = vision
        self._device = device

    def features(self, clips: Sequence[AskedClip]) -> torch.Tensor:
        """Return all clips' tokens, clip after clip: (tokens, width of the language model)."""
        import torch

        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, clip in enumerate(clips):
            by_size.setdefault(clip.frames.shape[1:], []).append(index)
        pixels = [
            upload_pairs([clips[index].frames for index in same], self._device)
            for same in by_size.values()
        ]
        found: dict[int, torch.Tensor] = {}
        for same, seen in zip(by_size.values(), self._vision.see(pixels), strict=True):
            pairs = [len(clips[index].frames) // 2 for index in same]
            for index, one in zip(same, seen.split(pairs), strict=True):
                found[index] = one.flatten(0, 1)
        return torch.cat([found[index] for index in range(len(clips))])


def upload_pairs(frames: Sequence[Frames], device: torch.device) -> torch.Tensor:
    """Return frames of one size as pairs on the device: uint8 (pairs, 2, height, width, 3).

    `frames`: each (an even number, height, width, 3). For a GPU they are gathered in pinned memory,
    from which the copy runs by itself.
    """
    import torch

    size = frames[0].shape[1:]
    count = sum(len(one) for one in frames)
    gpu = device.type == "cuda"
    staged = torch.empty((count, *size), dtype=torch.uint8, pin_memory=gpu)
    np.concatenate(frames, out=staged.numpy())
    return staged.to(device, non_blocking=True).view(count // 2, 2, *size)
