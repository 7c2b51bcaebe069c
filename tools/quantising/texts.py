"""Texts to calibrate with: a file's own, cut into samples of so many tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgewatch.config.errors import ConfigError

SAMPLE_TOKENS = 512
"""Of a sample; what NVIDIA's example takes of an article."""
LEAST_TOKENS = 16
MOST_FILE_BYTES = 64 * 2**20
_CHARACTERS_A_TOKEN = 8
"""More than a token has on average; so much of the file is read."""


def text_samples(
    file: Path, encode: Callable[[str], Sequence[int]], samples: int
) -> list[list[int]]:
    """Cut a text into at most `samples` pieces of tokens, each an even part of it.

    Raises ConfigError if the file cannot be read, is no UTF-8, or holds next to nothing.
    """
    text = _read(file)
    wanted = samples * SAMPLE_TOKENS * _CHARACTERS_A_TOKEN
    paragraphs = [one for one in text[:wanted].split("\n\n") if one.strip()]
    tokens: list[int] = []
    for paragraph in paragraphs:
        tokens += encode(f"{paragraph.strip()}\n\n")
        if len(tokens) >= samples * SAMPLE_TOKENS:
            break
    pieces = [
        tokens[start : start + SAMPLE_TOKENS] for start in range(0, len(tokens), SAMPLE_TOKENS)
    ][:samples]
    enough = [one for one in pieces if len(one) >= LEAST_TOKENS]
    if not enough:
        raise ConfigError(
            f"--text {file}: holds fewer than {LEAST_TOKENS} tokens. Name a text of some pages, as "
            "news articles"
        )
    return enough


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > MOST_FILE_BYTES:
            with file.open("rb") as stream:
                return stream.read(MOST_FILE_BYTES).decode("utf-8", errors="ignore")
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"--text {file}: is no text in UTF-8 ({error.reason})") from error
    except OSError as error:
        raise ConfigError(f"--text {file}: {error.strerror or error}") from error
