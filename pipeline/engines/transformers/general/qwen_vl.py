"""Qwen2-VL and Qwen3-VL (Cosmos-Reason2): a clip as one video, in patches of our own making.

Qwen2-VL sees the frames as they are, like Qwen2.5-VL. Qwen3-VL's tokens are 32 pixels wide, so
frames are first brought to the nearest multiples of that, and each pair of frames stands in the
text with its time. Sources: `Qwen2VLVideoProcessor`, `Qwen3VLVideoProcessor` and `Qwen3VLProcessor`
of transformers. The latter is followed as of 4.57, with which the model was published: the frames
take the place of `<|vision_start|><|video_pad|><|vision_end|>` as a whole. Later versions leave the
outer pair (vllm-project/vllm issue 46817).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question
from edgewatch.pipeline.engines.qwen.pixels import Patcher, grid_of, upload
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.engines.transformers.general.files import broken
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.text import Text
from edgewatch.pipeline.engines.transformers.general.video_rules import pixel_rules

if TYPE_CHECKING:
    import torch

Frames = npt.NDArray[np.uint8]
"""uint8 RGB, shape (frames, height, width, 3)."""

START, END = "<|vision_start|>", "<|vision_end|>"
_PADS = {"image": "<|image_pad|>", "video": "<|video_pad|>"}
_TYPES = {"image": 1, "video": 2}
"""As `ProcessorMixin.create_mm_token_type_ids` numbers them; 0 is text."""


class QwenVlForm:
    """Asks about a video, or about a picture where the clip is a still."""

    def __init__(self, source: Source) -> None:
        """Raises EngineFailed if the tokenizer or the pixels' rules cannot be read."""
        import torch

        self._directory = source.directory
        self._timed = source.config.get("model_type") == "qwen3_vl"
        self._text = Text(source.directory)
        self._tokens = {kind: self._text.token(pad) for kind, pad in _PADS.items()}
        self._rules = pixel_rules(source.directory, source.config.get("vision_config") or {})
        self._patcher = Patcher(self._rules, torch.device("cpu"), torch.float32)

    def asked(self, question: Question, clip: AskedClip) -> Question:
        """Return the question as it is: these models know videos."""
        return question

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        """Return tokens, patches and grid. Raises EngineFailed."""
        import torch

        kind = "image" if clip.still else "video"
        frames = self._fitted(clip.frames[:2] if clip.still else clip.frames)
        grid = grid_of(frames.shape, self._rules)
        text = self._text.chat(question, [{"type": kind}])
        tokens = torch.tensor([self._text.whole(self._filled(text, kind, grid, clip.fps))])
        types = torch.zeros_like(tokens).masked_fill(tokens == self._tokens[kind], _TYPES[kind])
        values = self._patcher.patches(upload([frames], torch.device("cpu"))).clone()
        merge = self._rules.merge
        shape = torch.tensor([[grid.pairs, grid.rows * merge, grid.columns * merge]])
        return {
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            "mm_token_type_ids": types,
            "pixel_values_videos" if kind == "video" else "pixel_values": values,
            f"{kind}_grid_thw": shape,
        }

    def encode(self, text: str) -> Sequence[int]:
        """Return a text's tokens, with none added."""
        return self._text.encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return tokens' text, without those that control the model."""
        return self._text.decode(tokens)

    def _filled(self, text: str, kind: str, grid: Grid, fps: float) -> str:
        """Put the video's tokens into its place."""
        pad = _PADS[kind]
        place = f"{START}{pad}{END}"
        if text.count(place) != 1:
            raise broken(self._directory, "chat template", f"it has no place {place}")
        a_pair = pad * (grid.rows * grid.columns)
        if kind == "image" or not self._timed:
            return text.replace(place, f"{START}{a_pair * grid.pairs}{END}")
        times = pair_times(grid.pairs, self._rules.temporal_patch, fps)
        shown = "".join(f"<{time:.1f} seconds>{START}{a_pair}{END}" for time in times)
        return text.replace(place, shown)

    def _fitted(self, frames: Frames) -> Frames:
        """Return frames whose number and sides divide into tokens."""
        missing = -len(frames) % self._rules.temporal_patch
        if missing:
            frames = np.concatenate([frames, frames[-1:].repeat(missing, axis=0)])
        height, width = (nearest(side, self._rules.side) for side in frames.shape[1:3])
        if (height, width) == frames.shape[1:3]:
            return frames
        from PIL import Image

        resized = (
            Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC)
            for frame in frames
        )
        return np.stack([np.asarray(frame) for frame in resized])


def nearest(pixels: int, side: int) -> int:
    """Return the multiple of a token's side that is nearest. Source: the library's smart_resize."""
    return max(side, round(pixels / side) * side)


def pair_times(pairs: int, frames_of_pair: int, fps: float) -> list[float]:
    """Return the middle of each pair's time in seconds.

    Source: `Qwen3VLProcessor._calculate_timestamps`: the mean of its first and last frame's.
    """
    return [(pair * frames_of_pair + (frames_of_pair - 1) / 2) / fps for pair in range(pairs)]


def make_form(source: Source) -> QwenVlForm:
    """Make the form of a checkpoint. Raises EngineFailed."""
    return QwenVlForm(source)
