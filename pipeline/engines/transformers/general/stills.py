"""Frames of a clip as the library's processors take them, and those processors themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.families.family import Family
from edgewatch.pipeline.engines.families.pictures import chosen_frames
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.transformers.general.files import calmly

if TYPE_CHECKING:
    from PIL import Image


def shown(clip: AskedClip, family: Family) -> list[int]:
    """Return the indexes of the frames that a family is shown; of a still picture the first."""
    return [0] if clip.still else chosen_frames(len(clip.frames), family.limits.frames)


def pictures(clip: AskedClip, indexes: Sequence[int]) -> list[Image.Image]:
    """Return some frames as RGB pictures."""
    from PIL import Image

    return [Image.fromarray(clip.frames[index]) for index in indexes]


def load_processor(directory: Path) -> Any:
    """Load a checkpoint's processor: its tokenizer, and its image processor on PIL.

    For families without a video processor, which would need torchvision. PIL's pictures are the
    same on every machine, with torchvision or without. Raises EngineFailed with the cure.
    """
    with calmly(directory, "processor"):
        from transformers import AutoProcessor

        processor = AutoProcessor.from_pretrained(directory, local_files_only=True)
        processor.image_processor = load_image_processor(directory)
        return processor


def load_image_processor(directory: Path, **changes: Any) -> Any:
    """Load a checkpoint's image processor on PIL, with settings changed.

    Raises EngineFailed with the cure.
    """
    with calmly(directory, "image processor"):
        from transformers import AutoImageProcessor

        return AutoImageProcessor.from_pretrained(
            directory, local_files_only=True, **_on_pil(), **changes
        )


def _on_pil() -> Mapping[str, Any]:
    """Return how the library is told to use PIL: its word for it changed with version 5."""
    import transformers

    old = int(transformers.__version__.split(".")[0]) < 5
    return {"use_fast": False} if old else {"backend": "pil"}
