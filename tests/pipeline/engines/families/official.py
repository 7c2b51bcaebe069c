"""A family's inputs as the library itself makes them, to hold ours against.

Its video processors need torchvision, so of those families the image processor sees the frames one
by one (see `bench.engine_peers`), and the text comes of the processor's own method for videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

from bench.engine_peers import _of_pairs
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question
from tests.fakes.tiny_recipes import TINY

WITHOUT_SYSTEM = frozenset({"mllama"})
"""Their templates refuse a system text beside a picture: it stands before the question."""
IN_A_CHAT = ("gemma3", "gemma3n", "llava", "llava_next", "mllama")


def official_inputs(
    name: str, directory: Path, clip: AskedClip, question: Question
) -> dict[str, Any]:
    """Return what the library's own processor makes of a clip and a question."""
    if name in IN_A_CHAT:
        return _by_processor(name, directory, clip, question)
    kind = "image" if clip.still else "video"
    text = _conversation_text(name, directory, question, [{"type": kind}])
    make = {"internvl": _internvl, "llava_onevision": _onevision}.get(name, _qwen)
    return make(name, directory, clip, text)


def official_model(name: str, directory: Path) -> Any:
    """Return the library's own model of a family."""
    kind = getattr(transformers, TINY[name].model_class)
    return kind.from_pretrained(directory, dtype=torch.float32, local_files_only=True).eval()


def official_score(
    model: Any, inputs: dict[str, Any], anomaly: Sequence[int], normal: Sequence[int]
) -> float:
    """Return P(anomaly) by the library's forward over the whole text."""
    with torch.inference_mode():
        odds = model(**inputs).logits[0, -1].double().softmax(-1)
    yes, no = (float(odds[list(side)].sum()) for side in (anomaly, normal))
    return yes / (yes + no)


def _messages(name: str, question: Question, media: Sequence[dict[str, Any]]) -> list[Any]:
    if name in WITHOUT_SYSTEM:
        text = f"{question.system}\n\n{question.user}"
        return [{"role": "user", "content": [*media, {"type": "text", "text": text}]}]
    return [
        {"role": "system", "content": [{"type": "text", "text": question.system}]},
        {"role": "user", "content": [*media, {"type": "text", "text": question.user}]},
    ]


@cache
def _processor(name: str, directory: Path) -> Any:
    processor = transformers.AutoProcessor.from_pretrained(directory, local_files_only=True)
    processor.image_processor = _image_processor(name)  # with torchvision the numbers differ
    return processor


@cache
def _tokenizer(directory: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(directory, local_files_only=True)


def _by_processor(
    name: str, directory: Path, clip: AskedClip, question: Question
) -> dict[str, Any]:
    processor = _processor(name, directory)
    media = [{"type": "image", "image": Image.fromarray(frame)} for frame in clip.frames]
    return dict(
        processor.apply_chat_template(
            _messages(name, question, media),
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
    )


def _conversation_text(
    name: str, directory: Path, question: Question, media: list[dict[str, Any]]
) -> str:
    text: str = _tokenizer(directory).apply_chat_template(
        _messages(name, question, media),
        chat_template=TINY[name].template,
        add_generation_prompt=True,
        tokenize=False,
    )
    return text


def _tokens(directory: Path, text: str) -> torch.Tensor:
    ids: torch.Tensor = _tokenizer(directory)(text, return_tensors="pt")["input_ids"]
    return ids


def _image_processor(name: str, **changes: Any) -> Any:
    """Return the library's image processor of a family on PIL, by its published settings."""
    settings = dict(TINY[name].preprocessor) | changes
    plain = str(settings.pop("image_processor_type")).removesuffix("Fast")
    settings.pop("processor_class")
    kind = getattr(transformers, f"{plain}Pil", None) or getattr(transformers, plain)
    return kind(**settings)


def _internvl(name: str, directory: Path, clip: AskedClip, text: str) -> dict[str, Any]:
    kind = transformers.InternVLProcessor
    parts = SimpleNamespace(
        start_image_token="<img>",
        end_image_token="</img>",
        image_token="<IMG_CONTEXT>",
        image_seq_length=4,
    )
    frames = clip.frames[:1] if clip.still else clip.frames
    if clip.still:
        filled = kind.replace_image_token(parts, {"num_patches": [1]}, 0)
        text = text.replace("<IMG_CONTEXT>", filled)
    else:
        filled = kind.replace_video_token(parts, {"pixel_values_videos": [frames]}, 0)
        text = text.replace("<video>", filled)
    tiles = _image_processor(name, crop_to_patches=False)(images=list(frames), return_tensors="pt")
    return {"input_ids": _tokens(directory, text), "pixel_values": tiles["pixel_values"]}


def _onevision(name: str, directory: Path, clip: AskedClip, text: str) -> dict[str, Any]:
    frames = clip.frames[:1] if clip.still else clip.frames
    parts = SimpleNamespace(num_image_tokens=25, video_token="<video>")
    filled = transformers.LlavaOnevisionProcessor.replace_video_token(
        parts, {"pixel_values_videos": [frames]}, 0
    )
    # The first of a picture's tiles is the whole of it, resized as the frames of a video are.
    tiles = _image_processor(name)(images=list(frames), return_tensors="pt")["pixel_values"]
    return {
        "input_ids": _tokens(directory, text.replace("<video>", filled)),
        "pixel_values_videos": tiles[:, 0][None],
    }


def _qwen(name: str, directory: Path, clip: AskedClip, text: str) -> dict[str, Any]:
    rules = TINY[name].preprocessor
    settings = {key: rules[key] for key in ("patch_size", "temporal_patch_size", "merge_size")}
    side = rules["patch_size"] * rules["merge_size"]
    bounds = {"shortest_edge": side**2, "longest_edge": 10**8}
    processor = _image_processor(name, min_pixels=None, max_pixels=None, size=bounds)
    frames = clip.frames[:1] if clip.still else clip.frames
    made = processor(images=list(frames), return_tensors="pt")
    grid = made["image_grid_thw"][0].tolist()
    if clip.still:
        pixels = made["pixel_values"]
        filled = "<|image_pad|>" * (int(np.prod(grid)) // 4)
        text = text.replace("<|image_pad|>", filled)
    else:
        pixels = _of_pairs(made["pixel_values"], len(frames), settings)
        grid[0] = len(frames) // 2
        text = text.replace("<|vision_start|><|video_pad|><|vision_end|>", _place(name, clip, grid))
    tokens = _tokens(directory, text)
    kind = "image" if clip.still else "video"
    [pad] = _tokens(directory, f"<|{kind}_pad|>")[0].tolist()
    return {
        "input_ids": tokens,
        "mm_token_type_ids": (tokens == pad).int() * (1 if clip.still else 2),
        "pixel_values" if clip.still else "pixel_values_videos": pixels,
        f"{kind}_grid_thw": torch.tensor([grid]),
    }


def _place(name: str, clip: AskedClip, grid: list[int]) -> str:
    """Return what a video's place holds, by the processors' own methods."""
    parts = SimpleNamespace(
        video_processor=SimpleNamespace(merge_size=2, temporal_patch_size=2),
        video_token="<|video_pad|>",
        vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
    )
    made: dict[str, Any] = {"video_grid_thw": [np.array(grid)]}
    if name == "qwen2_vl":
        filled = transformers.Qwen2VLProcessor.replace_video_token(parts, made, 0)
        return f"<|vision_start|>{filled}<|vision_end|>"
    kind = transformers.Qwen3VLProcessor
    parts._calculate_timestamps = lambda *args: kind._calculate_timestamps(parts, *args)
    made["video_metadata"] = [
        SimpleNamespace(fps=clip.fps, frames_indices=np.arange(len(clip.frames)))
    ]
    place: str = kind.replace_video_token(parts, made, 0)
    return place
