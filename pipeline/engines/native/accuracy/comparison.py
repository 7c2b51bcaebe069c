"""Comparison: a few clips by transformers, with the same weights, and by this engine.

transformers goes first: its model is loaded, asked and freed before this engine's is loaded, so
that both never need memory at once. Tokens take their places by one rule in both
(`qwen.positions`), as versions of the library differ in theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.answers import AnswerTokens
from edgewatch.pipeline.engines.device_memory import free_unused, is_out_of_memory
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint
from edgewatch.pipeline.engines.qwen.pixels import grid_of, upload
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.engines.trial_clips import CELL, TRIAL_PROMPT
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.transformers.network import Network as Library

_MOST_FRAMES = 8
"""Of a trial clip: enough for places in time, and no long wait."""
_OTHER_PROMPT = (
    "The camera looks at a street. An anomaly is a crash, a fight or a person on the ground; cars "
    "that drive and people who walk are normal."
)


@dataclass(frozen=True, slots=True)
class Apart:
    """How far two forwards are apart on the same clips."""

    logits: float
    """Largest relative difference of a clip's logits."""
    mean_score: float
    """Mean |change of P(anomaly)|; NaN where a forward gave no numbers."""
    largest_score: float
    clips: int

    def __str__(self) -> str:
        return (
            f"P(anomaly) by {self.mean_score:.4f} on average and {self.largest_score:.4f} at most, "
            f"logits by {self.logits:.2g} of their size, on {self.clips} clips"
        )


def apart(ours: torch.Tensor, theirs: torch.Tensor, answers: AnswerTokens) -> Apart:
    """Hold logits (clips, vocabulary) against others of the same clips."""
    ours, theirs = ours.double().cpu(), theirs.double().cpu()
    shifts = (_scores(ours, answers) - _scores(theirs, answers)).abs()
    return Apart(
        logits=float(((ours - theirs).norm(dim=1) / theirs.norm(dim=1)).max()),
        mean_score=float(shifts.mean()),
        largest_score=float(shifts.max()),
        clips=len(ours),
    )


def trial_clips(largest: LargestClip, count: int) -> list[AskedClip]:
    """Return clips of noise and of moving shapes in turn, of several sizes, lengths and prompts;
    none is larger than `largest`, and none longer than 8 frames. The same each time."""
    side = max(1, math.isqrt(largest.pixels // CELL**2))
    shapes = ((side, side), (max(1, side * 2 // 3), side), (side, max(1, side // 2)))
    lengths = (largest.frames, 4, 6)
    clips = []
    for number in range(count):
        rows, columns = shapes[number // 2 % len(shapes)]
        frames = max(2, min(lengths[number // 2 % len(lengths)], largest.frames, _MOST_FRAMES))
        shape = (frames - frames % 2, rows * CELL, columns * CELL)
        make = _moving if number % 2 else _noise
        prompt = _OTHER_PROMPT if number // 2 % 2 else TRIAL_PROMPT
        clips.append(AskedClip(make(shape, number), largest.fps, prompt))
    return clips


def reference_logits(
    checkpoint: Checkpoint,
    scripts: ScriptReader,
    clips: Sequence[AskedClip],
    form: Form,
    device: torch.device,
) -> torch.Tensor:
    """Return transformers' logits of clips, (clips, vocabulary) in float32 on the host.

    Loads its model and frees it. Raises EngineFailed if it is not installed, cannot load the
    checkpoint, or does not fit.
    """
    import torch

    try:
        library = _library(checkpoint, device)
        logits = [_asked(library, checkpoint, scripts, clip, form) for clip in clips]
    except (ImportError, RuntimeError, MemoryError) as error:
        if not (isinstance(error, ImportError) or is_out_of_memory(error)):
            raise
        raise EngineFailed(
            f"[engine] compare_clips: transformers could not be asked ({error})",
            "pip install 'edgewatch[transformers]', free memory, or set compare_clips = 0",
        ) from error
    del library
    free_unused(device)
    return torch.stack(logits)


def hold(found: Apart, *, exact: bool, quantised: bool, most_drift: float) -> None:
    """Let answers pass that rounding explains. Raises EngineFailed with the figures and the cure.

    `exact`: both computed in float32. `quantised`: the checkpoint's weights are, so that both round
    inputs in their own ways, and P(anomaly) alone is held, against `most_drift`. Source of the
    limits in bfloat16: 7B shape on an H200, random weights, against float32: this engine's logits
    0.035 off, transformers' 0.042; P 0.02 and 0.012.
    """
    logits, score = (1e-3, 1e-3) if exact else (0.12, 0.06)
    if quantised:
        bad = not found.mean_score <= most_drift
    else:
        bad = not (found.logits <= logits and found.largest_score <= score)
    if bad:  # so is what is no number
        wanted = (
            f"{most_drift:g} on average is the most ([engine] most_drift)"
            if quantised
            else f"rounding explains {score:g} and {logits:g}"
        )
        raise EngineFailed(
            f"this engine and transformers differ with the same weights: {found}; {wanted}",
            'set [engine] kind = "transformers" and report this line',
        )


def _scores(logits: torch.Tensor, answers: AnswerTokens) -> torch.Tensor:
    """Return P(anomaly) of each clip: the share of one answer's spellings in both."""
    both = logits[:, list(answers.all)].softmax(-1)
    return both[:, : len(answers.anomaly)].sum(-1)


def _noise(shape: tuple[int, int, int], seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def _moving(shape: tuple[int, int, int], seed: int) -> npt.NDArray[np.uint8]:
    """Draw a bright block that crosses a shaded picture."""
    frames, height, width = shape
    random = np.random.default_rng(seed)
    down, across = np.mgrid[0:height, 0:width]
    shades = random.integers(40, 160, (2, 3))
    picture = shades[0] * (down / height)[..., None] + shades[1] * (across / width)[..., None] / 2
    pixels = np.repeat(picture.astype(np.uint8)[None], frames, axis=0)
    size = max(8, min(height, width) // 4)
    top = int(random.integers(0, height - size + 1))
    for number in range(frames):
        left = (width - size) * number // max(1, frames - 1)
        pixels[number, top : top + size, left : left + size] = random.integers(180, 256, 3)
    return pixels


def _library(checkpoint: Checkpoint, device: torch.device) -> Library:
    from edgewatch.pipeline.engines.transformers.libraries import place_of
    from edgewatch.pipeline.engines.transformers.modelopt.choice import possible_ways
    from edgewatch.pipeline.engines.transformers.network import load_network

    directory, quantisation = checkpoint.directory, checkpoint.quantisation
    way = possible_ways(directory, quantisation, device, place_of(device))[0]
    return load_network(checkpoint, device, arithmetic=way)


def _asked(
    library: Library, checkpoint: Checkpoint, scripts: ScriptReader, clip: AskedClip, form: Form
) -> torch.Tensor:
    """Return one clip's logits, (vocabulary,)."""
    import torch

    from edgewatch.pipeline.engines.transformers.rows import Row, lay_out

    rules = checkpoint.pixels
    grid = grid_of(clip.frames.shape, rules)
    rows = lay_out(
        [Row(scripts.script(verdict_question(clip.prompt, form)), clip.fps)],
        grid,
        video_token=checkpoint.video_token,
        temporal_patch=rules.temporal_patch,
        tokens_per_second=checkpoint.tokens_per_second,
    )
    with torch.inference_mode():
        patches = library.patcher.patches(upload([clip.frames], library.device))
        states = library.read(rows, library.see(patches, grid, 1))
        logits: torch.Tensor = library.model.lm_head(states)[0].float().cpu()
    return logits
