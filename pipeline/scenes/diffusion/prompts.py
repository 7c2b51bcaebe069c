"""Prompts: a text as the numbers that the text encoders read, by each model's own tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable

Ids = npt.NDArray[np.int32]
"""int32, shape (prompts, tokens)."""
CLIP_TOKENS = 77


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

        Raises SceneRefused for a prompt that is too long; see `refuse_long`.
        """
        refuse_long(self._second, prompt, self._family, self._text_length)
        length = self._text_length if self._family == "flux" else CLIP_TOKENS
        return _padded(self._first, prompt, CLIP_TOKENS), _padded(self._second, prompt, length)


def refuse_long(
    tokenizer: Any, prompt: str, family: Literal["flux", "sdxl"], text_length: int
) -> None:
    """Refuse a prompt whose end would be cut in silence. Raises SceneRefused.

    `tokenizer`: the model's second one. T5 reads all of Flux's prompt, `text_length` tokens, and
    CLIP only its gist; of SDXL's two CLIPs neither reads more than the other.
    """
    most = text_length if family == "flux" else CLIP_TOKENS
    found = len(tokenizer(prompt, truncation=False, verbose=False)["input_ids"])
    if found > most:
        raise SceneRefused(
            f"the prompt has {found} tokens, and the model reads {most}: make it shorter"
        )


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
