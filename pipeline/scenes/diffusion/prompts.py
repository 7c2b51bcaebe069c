"""Prompts: a text as the numbers that the text encoders read, by each model's own tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.errors import SceneUnavailable

Ids = npt.NDArray[np.int32]
"""int32, shape (prompts, tokens)."""


class Prompts:
    """Both tokenizers of a model, from its folders `tokenizer` and `tokenizer_2`."""

    def __init__(self, folder: Path, family: Literal["flux", "sdxl"], text_length: int) -> None:
        """Load them; nothing is asked of a network.

        `text_length`: tokens of Flux's T5 (256 schnell, 512 dev); CLIP's are 77. Raises
        SceneUnavailable where transformers or the files are missing.
        """
        self._text_length = text_length
        self._family = family
        self._first = _tokenizer(folder / "tokenizer", "CLIPTokenizer")
        second = "T5TokenizerFast" if family == "flux" else "CLIPTokenizer"
        self._second = _tokenizer(folder / "tokenizer_2", second)

    def ids(self, prompt: str) -> tuple[Ids, Ids]:
        """Return the prompt for the first and the second encoder, (1, tokens) each.

        What is longer than an encoder reads is cut, as everywhere with these models.
        """
        first = _padded(self._first, prompt, int(self._first.model_max_length))
        length = self._text_length if self._family == "flux" else int(self._second.model_max_length)
        return first, _padded(self._second, prompt, length)

    def cut(self, prompt: str) -> bool:
        """Tell whether the encoder that reads most of the prompt does not read its end."""
        longest = self._text_length if self._family == "flux" else 77
        words = self._second(prompt, add_special_tokens=True)["input_ids"]
        return len(words) > longest


def _padded(tokenizer: Any, prompt: str, length: int) -> Ids:
    found = tokenizer(prompt, padding="max_length", max_length=length, truncation=True)
    return np.asarray([found["input_ids"]], np.int32)


def _tokenizer(folder: Path, kind: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise SceneUnavailable(
            "transformers is not installed, which reads prompts: pip install 'edgewatch[scenes]'"
        ) from error
    try:
        return getattr(transformers, kind).from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise SceneUnavailable(
            f"no tokenizer can be read in {folder} ({error}): fetch the model again"
        ) from error
