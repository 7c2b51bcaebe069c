"""All recipes of tiny checkpoints of families that are asked in a chat."""

from __future__ import annotations

from tests.fakes.tiny_recipe import TinyFamily
from tests.fakes.tiny_recipes_pictures import GEMMA3, GEMMA3N, LLAVA, LLAVA_NEXT, MLLAMA
from tests.fakes.tiny_recipes_videos import INTERNVL, LLAVA_ONEVISION, QWEN2_VL, QWEN3_VL

TINY: dict[str, TinyFamily] = {
    "gemma3": GEMMA3,
    "gemma3n": GEMMA3N,
    "internvl": INTERNVL,
    "llava": LLAVA,
    "llava_next": LLAVA_NEXT,
    "llava_onevision": LLAVA_ONEVISION,
    "mllama": MLLAMA,
    "qwen2_vl": QWEN2_VL,
    "qwen3_vl": QWEN3_VL,
}
"""By model type."""
