"""Shared memory for clips, in slots of one size.

The memory is anonymous (memfd_create(2)) and has no name in /dev/shm: when the last process that
has it open ends, however it ends, the kernel takes it back.
"""

from __future__ import annotations

import mmap
import os
import struct
from itertools import accumulate, pairwise

import numpy as np

from edgewatch.pipeline.engines.child.messages import Place
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.setup import LargestClip

PROMPT_BYTES = 32_768
"""Room for a prompt of 8,000 characters, 4 bytes each."""
_CAMERA_BYTES = 1024
_TIME_BYTES = 8
_LARGER = 1.05
"""A frame may be so much larger than was wanted (`pipeline.frames.target_size`) ..."""
_CELLS = 8 * 28 * 28
"""... and a very small one by some cells of 28 x 28."""


class ClipTooLarge(ValueError):
    """A clip that does not fit: larger than the largest that the engine was made for."""


def slot_bytes(largest: LargestClip) -> int:
    """Return the size of a slot for the largest clip, in whole pages."""
    pixels = int(largest.pixels * _LARGER) + _CELLS
    frames = largest.frames + largest.frames % 2
    wanted = frames * (pixels * 3 + _TIME_BYTES) + PROMPT_BYTES + _CAMERA_BYTES
    return -(-wanted // mmap.PAGESIZE) * mmap.PAGESIZE


class Slots:
    """Memory that two processes map; who writes and who reads is agreed by message."""

    def __init__(self, descriptor: int, *, count: int, size_bytes: int) -> None:
        self._memory = mmap.mmap(descriptor, count * size_bytes)
        self._count = count
        self._size_bytes = size_bytes

    @staticmethod
    def create(*, count: int, size_bytes: int) -> int:
        """Return the descriptor of new memory; pages that are never written are never there."""
        descriptor = os.memfd_create("edgewatch-clips", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, count * size_bytes)
        return descriptor

    def write(self, slot: int, clip: AskedClip) -> Place:
        """Copy a clip into a slot. Raises ClipTooLarge."""
        self.check(clip)
        frames, height, width, channels = clip.frames.shape
        texts = [text.encode() for text in (clip.prompt, clip.question, clip.camera)]
        start = slot * self._size_bytes
        np.copyto(
            np.frombuffer(self._memory, np.uint8, clip.frames.size, start).reshape(
                clip.frames.shape
            ),
            clip.frames,
        )
        end = start + clip.frames.nbytes
        rest = b"".join(texts) + struct.pack(f"={len(clip.times)}d", *clip.times)
        self._memory[end : end + len(rest)] = rest
        shape = (frames, height, width, channels)
        prompt, question, camera = map(len, texts)
        return Place(slot, shape, clip.fps, prompt, question, clip.still, camera, len(clip.times))

    def check(self, clip: AskedClip) -> None:
        """Raise ClipTooLarge if a clip does not fit into a slot."""
        frames, height, width, _ = clip.frames.shape
        prompt_bytes = len(clip.prompt.encode()) + len(clip.question.encode())
        named_bytes = len(clip.camera.encode()) + _TIME_BYTES * len(clip.times)
        if clip.frames.nbytes + prompt_bytes + named_bytes > self._size_bytes:
            raise ClipTooLarge(
                f"a clip of {frames} frames of {width} x {height} with a prompt of {prompt_bytes} "
                f"bytes does not fit into the {self._size_bytes} bytes planned for the largest"
            )

    def read(self, place: Place) -> AskedClip:
        """Return the clip in a place; its pixels are the shared memory itself, read-only.

        They hold until the request is answered. Raises ValueError if the place lies outside.
        """
        size_bytes = int(np.prod(place.shape, dtype=np.int64))
        texts = (place.prompt_bytes, place.question_bytes, place.camera_bytes)
        times_bytes = _TIME_BYTES * place.times
        inside = 0 <= place.slot < self._count and min(place.shape) > 0
        inside = inside and min(*texts, times_bytes) >= 0
        if not inside or size_bytes + sum(texts) + times_bytes > self._size_bytes:
            raise ValueError(f"there is no place {place}")
        start = place.slot * self._size_bytes
        pixels = np.frombuffer(self._memory, np.uint8, size_bytes, start).reshape(place.shape)
        pixels.flags.writeable = False
        ends = list(accumulate(texts, initial=start + size_bytes))
        prompt, question, camera = (self._memory[one:end].decode() for one, end in pairwise(ends))
        times = struct.unpack_from(f"={place.times}d", self._memory, ends[-1])
        return AskedClip(pixels, place.fps, prompt, question, place.still, camera, times)

    def close(self) -> None:
        """Unmap the memory; nothing that `read` returned may be left."""
        self._memory.close()
