"""What `bench.engine` and the tests hold the engine against: the library, used as it is meant.

The official video processor needs torchvision. Where that is missing (or built for another torch),
the official image processor makes the same numbers: it sees each frame as a still picture, which
it repeats to fill a pair, and of each pair's two results the first half of one and the second half
of the other are the video's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.qwen.pixels import grid_of
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.engines.transformers.rows import Row, Rows, lay_out

if TYPE_CHECKING:
    from bench.engine_subjects import Subject

Frames = npt.NDArray[np.uint8]
"""uint8 RGB, shape (frames, height, width, 3)."""

RULES = ("image_mean", "image_std", "patch_size", "temporal_patch_size", "merge_size")


def official_processor(rules: Mapping[str, Any]) -> tuple[str, Callable[[Frames], Any]]:
    """Return the official preprocessing's class and itself: a clip to (patches, 1176) in float32.

    `rules`: what preprocessor_config.json says. Frames are not resized: they have the model's size.
    """
    settings = {key: rules[key] for key in RULES}
    video = _video_processor(settings)
    if video is not None:
        return type(video).__name__, lambda frames: _of_video(video, frames)
    image = _image_processor(settings)
    name = f"{type(image).__name__}, frame by frame"
    return name, lambda frames: _of_pairs(_of_stills(image, frames), len(frames), settings)


def official_call(rules: Mapping[str, Any]) -> tuple[str, Callable[[Frames], Any]]:
    """Return the same for a measurement: only the call of the processor, nothing put together."""
    settings = {key: rules[key] for key in RULES}
    video = _video_processor(settings)
    if video is not None:
        return type(video).__name__, lambda frames: _of_video(video, frames)
    image = _image_processor(settings)
    return f"{type(image).__name__}, frame by frame", lambda frames: _of_stills(image, frames)


def video_arithmetic(frames: Frames, rules: Mapping[str, Any]) -> Any:
    """Compute what the official video processor computes, in its order, in plain torch.

    Source: `_preprocess` and `patchify` of `Qwen2VLVideoProcessor` (transformers 5.23).
    """
    import torch

    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
    mean, std = (
        torch.tensor(rules[key]).view(1, 3, 1, 1) * 255 for key in ("image_mean", "image_std")
    )
    values = (pixels.to(torch.float32) - mean) / std
    pair, patch, merge = (
        int(rules[key]) for key in ("temporal_patch_size", "patch_size", "merge_size")
    )
    count, _, height, width = values.shape
    side = patch * merge
    cut = values.view(
        1, count // pair, pair, 3, height // side, merge, patch, width // side, merge, patch
    )
    return cut.permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9).reshape(-1, 3 * pair * patch * patch)


class Official:
    """The library's model on a subject's clips: one forward, or its processor and `generate`."""

    def __init__(self, subject: Subject, process: Callable[[Frames], Any]) -> None:
        """`process`: official preprocessing, a clip to its patches."""
        self.subject = subject
        self._process = process
        self._model = subject.network.model

    def rows(self, clips: Sequence[AskedClip]) -> tuple[Rows, Grid]:
        """Return the tokens and places that we give the model as well."""
        subject = self.subject
        grid = grid_of(clips[0].frames.shape, subject.rules)
        scripts = (subject.scripts.script(verdict_question(clip.prompt, Form())) for clip in clips)
        rows = lay_out(
            [Row(script, clip.fps) for script, clip in zip(scripts, clips, strict=True)],
            grid,
            video_token=subject.video_token,
            temporal_patch=subject.rules.temporal_patch,
            tokens_per_second=subject.tokens_per_second,
        )
        return rows, grid

    def inputs(self, clips: Sequence[AskedClip]) -> dict[str, Any]:
        """Return what the processor makes of clips with prompts of one length, on the device."""
        import torch

        rows, grid = self.rows(clips)
        merge, device = self.subject.rules.merge, self.subject.network.device
        shape = [grid.pairs, grid.rows * merge, grid.columns * merge]
        ids = torch.from_numpy(rows.tokens)
        made = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "position_ids": torch.from_numpy(rows.places),
            "pixel_values_videos": torch.cat([self._process(clip.frames) for clip in clips]),
            "video_grid_thw": torch.tensor([shape] * len(clips)),
        }
        return {name: value.to(device) for name, value in made.items()}

    def forward(self, inputs: Mapping[str, Any]) -> Any:
        """Return the logits of the last position, (clips, vocabulary)."""
        import torch

        with torch.inference_mode(), self.subject.network.windows.ungrouped():
            return self._model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1]

    def scores(self, clips: Sequence[AskedClip]) -> list[float]:
        """Return P(anomaly) by the library's forward."""
        answers = self.subject.answers
        odds = self.forward(self.inputs(clips)).double().softmax(-1)
        yes, no = (odds[:, list(side)].sum(-1) for side in (answers.anomaly, answers.normal))
        found: list[float] = (yes / (yes + no)).tolist()
        return found

    def generate(self, clips: Sequence[AskedClip], tokens: int) -> Any:
        """Prepare clips and write so many tokens after each: how such models are mostly asked."""
        import torch

        inputs = self.inputs(clips)
        del inputs["position_ids"]  # the library's own count, as its users have it
        parameters = inspect.signature(self._model.forward).parameters
        pair_seconds = [self.subject.rules.temporal_patch / clip.fps for clip in clips]
        inputs["second_per_grid_ts"] = torch.tensor(pair_seconds)
        if "mm_token_type_ids" in parameters:
            inputs["mm_token_type_ids"] = (
                inputs["input_ids"] == self.subject.video_token
            ).int() * 2
        with torch.inference_mode(), self.subject.network.windows.ungrouped():
            return self._model.generate(
                **inputs,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                pad_token_id=0,
            )


def _video_processor(settings: Mapping[str, Any]) -> Any:
    from transformers.utils import is_torchvision_available

    if not is_torchvision_available():
        return None
    try:
        from transformers import Qwen2VLVideoProcessor

        processor = Qwen2VLVideoProcessor(**settings)
        _of_video(processor, np.zeros((2, 28, 28, 3), np.uint8))
    except (ImportError, RuntimeError, TypeError, ValueError, AttributeError):
        return None  # a torchvision for another torch, or a class that wants its clips otherwise
    return processor


def _image_processor(settings: Mapping[str, Any]) -> Any:
    import transformers

    # From 5.0 on the plain name is the one that needs torchvision.
    kind = getattr(transformers, "Qwen2VLImageProcessorPil", None)
    return (kind or transformers.Qwen2VLImageProcessor)(**settings)


def _of_video(processor: Any, frames: Frames) -> Any:
    return processor(videos=[frames], do_resize=False, return_tensors="pt")["pixel_values_videos"]


def _of_stills(processor: Any, frames: Frames) -> Any:
    return processor(images=list(frames), do_resize=False, return_tensors="pt")["pixel_values"]


def _of_pairs(stills: Any, count: int, settings: Mapping[str, Any]) -> Any:
    """Put a video's patches together from stills, each of which fills a pair by itself."""
    import torch

    pair, side = settings["temporal_patch_size"], settings["patch_size"]
    each = stills.view(count, -1, 3, pair, side * side)
    halves = [each[index::pair, :, :, index] for index in range(pair)]
    return torch.stack(halves, dim=3).reshape(-1, stills.shape[1])
