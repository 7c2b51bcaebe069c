"""The tokenizer: Qwen's ids where labels need them, made up ones elsewhere."""

from __future__ import annotations

import re
import zlib

VIDEO_PAD = "<|video_pad|>"
IMAGE_PAD = "<|image_pad|>"
SPECIAL = {
    "<|endoftext|>": 151643,
    "<|im_start|>": 151644,
    "<|im_end|>": 151645,
    "<|vision_start|>": 151652,
    "<|vision_end|>": 151653,
    IMAGE_PAD: 151655,
    VIDEO_PAD: 151656,
}
WHOLE = {
    "Yes": 9454,
    " Yes": 7414,
    "yes": 9693,
    " yes": 9834,
    "YES": 14004,
    " YES": 14080,
    "No": 2753,
    " No": 2308,
    "no": 2152,
    " no": 902,
    "NO": 8996,
    " NO": 5664,
    "Normal": 12206,
    " Normal": 18437,
    "normal": 8252,
    " normal": 4622,
    " anomaly": 62948,
    "A": 32,
    " A": 362,
    "B": 33,
    " B": 425,
}
"""Words of one token."""
SPLIT = {
    "Anomaly": (2082, 83092),
    " Anomaly": (1527, 83092),
    "anomaly": (276, 83092),
    "Abnormal": (5830, 8252),
    "<think>": (13708, 766, 29),
}
"""Words of several."""
AN, THINK = 2082, 13708
_FIRST_OTHER, _OTHERS = 100_000, 40_000
_PIECE = re.compile(r"<\|[a-z_]+\|>|<think>| ?[A-Za-z]+|\s|[^A-Za-z\s]")


class Tokenizer:
    """What `LLM.tokenizer` gives, so far as it is needed."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Return the ids of a text."""
        ids: list[int] = []
        for piece in _PIECE.findall(text):
            if piece in SPECIAL:
                ids.append(SPECIAL[piece])
            elif piece in WHOLE:
                ids.append(WHOLE[piece])
            elif piece in SPLIT:
                ids.extend(SPLIT[piece])
            else:
                ids.append(_FIRST_OTHER + zlib.crc32(piece.encode()) % _OTHERS)
        return ids
