"""The work of one clip in floating point operations, by formula. Pure.

What must be done and no more: windows and causal attention, the last layer for the last token
alone, no zeros that fill up. A multiplication and its addition are two.
"""

from __future__ import annotations

from edgewatch.pipeline.engines.native.sizes import LanguageSizes, Sizes, VisionSizes
from edgewatch.pipeline.engines.native.windows import window_plan


def clip_flop(
    sizes: Sizes, *, pairs: int, seen_pairs: int, rows: int, columns: int, known: int, text: int
) -> float:
    """Return the operations of one clip.

    `pairs` of frames of `rows` x `columns` tokens, of which the tower sees `seen_pairs` now;
    `text` tokens beside the video, of which `known` are known from before.
    """
    length = text + pairs * rows * columns - known
    return vision_flop(sizes.vision, rows, columns) * seen_pairs + language_flop(
        sizes.language, length, known
    )


def vision_flop(sizes: VisionSizes, rows: int, columns: int) -> float:
    """Return the operations of one pair of frames."""
    plan = window_plan(rows, columns, window=sizes.window, merge=sizes.merge)
    width, merged = sizes.width, sizes.width * sizes.merged
    layer = 2 * plan.patches * (4 * width**2 + 3 * width * sizes.mlp)
    ends = 2 * plan.patches * sizes.patch_values * width
    ends += 2 * plan.tokens * (merged**2 + merged * sizes.out_width)
    full = len(sizes.full_layers)
    windows = (sizes.layers - full) * sum(length**2 for length in plan.lengths)
    return sizes.layers * layer + ends + 4 * width * (windows + full * plan.patches**2)


def language_flop(sizes: LanguageSizes, length: int, known: int) -> float:
    """Return the operations of reading `length` tokens behind `known` ones, up to the logits."""
    width, queries, both = sizes.width, sizes.heads * sizes.head, 2 * sizes.kv_heads * sizes.head
    beside = 2 * (2 * width * queries + 3 * width * sizes.mlp)
    keys_values = 2 * width * both
    attention = 4 * queries * (length * known + length * (length + 1) / 2)
    layers = (sizes.layers - 1) * (length * (beside + keys_values) + attention)
    last = length * keys_values + beside + 4 * queries * (length + known)
    return layers + last + 2 * width * sizes.vocabulary
