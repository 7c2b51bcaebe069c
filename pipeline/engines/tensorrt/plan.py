"""What TensorRT-LLM is told to make room for, derived from the largest clip. Pure.

The rules were read in TensorRT-LLM's source, version 1.2 (llmapi/llm_args.py, inputs/registry.py,
_torch/models/modeling_qwen2vl.py, _torch/pyexecutor/_util.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.setup import EngineSetup

CELL = 28
"""Patch of 14 x merge of 2: side of the square that becomes one token of a pair of frames."""
LARGER = 1.05
"""A frame may be so much larger than was wanted (`pipeline.frames.target_size`)."""
TEXT_TOKENS = 1024
"""Room for the question: the default ones take about 250, a prompt of 3,000 characters 800."""
TOKENS_A_STEP = 2048
"""Also what keeps the vision encoder, whose buffers hold 8,192 patches of a step's clips, within
them: a clip has 4 patches a token."""
LOGPROBS = 20
"""Most probable tokens that are asked for; all spellings of both answers are among them if the
model answers at all."""
KV_TOKENS = 32_768
KV_FRACTION = 0.2
"""Of the memory left; TensorRT-LLM takes the smaller of this and the tokens. Its own 0.9 would
starve a host that shares its memory."""


def video_tokens(shape: tuple[int, ...]) -> int:
    """Return the tokens of a video of shape (frames, height, width, 3)."""
    frames, height, width = shape[:3]
    return frames // 2 * (height // CELL) * (width // CELL)


def misshapen(frames: npt.NDArray[np.uint8], fps: float) -> str:
    """Say what TensorRT-LLM would take wrongly about a clip; empty if nothing.

    Frames of other sides are resized by its processor, which its own token count does not know;
    an odd number of frames ends the hashing of videos for the whole process, or fails.
    """
    count, height, width, channels = frames.shape
    if frames.dtype != np.uint8 or channels != 3:
        return f"pixels of {channels} channels and type {frames.dtype}, not RGB of 8 bits"
    if count < 2 or count % 2:
        return f"{count} frames, not an even number"
    if height % CELL or width % CELL or max(height, width) >= 200 * min(height, width):
        return f"frames of {width} x {height}, not multiples of {CELL}"
    if not (math.isfinite(fps) and fps > 0):
        return f"{fps} frames a second"
    return ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Room for requests."""

    max_batch_size: int
    max_num_tokens: int
    """Of one step, and so of one prompt: a prompt is never cut into parts."""
    max_seq_len: int
    kv_tokens: int
    in_flight: int
    """More requests are not handed in at a time: TensorRT-LLM would queue them without limit."""

    @staticmethod
    def of(setup: EngineSetup) -> Plan:
        """Plan for an engine."""
        largest = setup.largest_clip
        cells = math.ceil(LARGER * largest.pixels / CELL**2)
        prompt_tokens = math.ceil(largest.frames / 2) * cells + TEXT_TOKENS
        answer_tokens = max(1, setup.form.words_tokens)
        max_seq_len = max(4096, prompt_tokens + answer_tokens)
        in_flight = 2 * setup.max_batch
        return Plan(
            max_batch_size=setup.max_batch,
            max_num_tokens=max(TOKENS_A_STEP, prompt_tokens),
            max_seq_len=max_seq_len,
            kv_tokens=max(KV_TOKENS, setup.max_batch * (prompt_tokens + answer_tokens)),
            in_flight=in_flight,
        )
