"""How questions are put to a model. Pure.

Official: VQAv2's and AI2D's short-answer instructions as LLaVA's evaluation tools and lmms-eval
use them; MME's questions bring their own. Upstream: examples/models/core/multimodal/eval.py of
TensorRT-LLM: a trailing question mark, and AI2D's options as " (0) text (1) text".
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from edgewatch.tools.vqa.questions import TaskName, Wording

SHORT = "Answer the question using a single word or phrase."
YES_OR_NO = "Please answer yes or no."
BY_LETTER = "Answer with the option's letter from the given choices directly."
MOST_OPTIONS = len(ascii_uppercase)

_SAID: dict[tuple[TaskName, Wording], str] = {
    ("vqav2", "official"): f'the question, then "{SHORT}"',
    ("mme", "official"): f'the question, which ends in "{YES_OR_NO}"',
    ("ai2d", "official"): f'the question, the options with letters, then "{BY_LETTER}"',
    ("vqav2", "upstream"): "the question alone, as TensorRT-LLM's eval.py asks it",
    ("mme", "upstream"): "the question alone, as TensorRT-LLM's eval.py asks it",
    ("ai2d", "upstream"): "the question and its options as (0), (1), … in one line, as "
    "TensorRT-LLM's eval.py asks it",
}


def wording_said(task: TaskName, wording: Wording) -> str:
    """Say for people how a task's questions are put."""
    return _SAID[task, wording]


def labels_of(count: int, wording: Wording) -> tuple[str, ...]:
    """Return what so many options are called: letters, or upstream's numbers from 0."""
    if wording == "upstream":
        return tuple(str(number) for number in range(count))
    return tuple(ascii_uppercase[:count])


def short_answer(question: str, wording: Wording) -> str:
    """Put a question of VQAv2."""
    asked = with_mark(question)
    return asked if wording == "upstream" else f"{asked}\n{SHORT}"


def yes_or_no(question: str, wording: Wording) -> str:
    """Put a question of MME; it mostly says itself what answers are wanted."""
    asked = _plain(question)
    if wording == "upstream":
        return with_mark(asked)
    return asked if YES_OR_NO.lower() in asked.lower() else f"{asked} {YES_OR_NO}"


def multiple_choice(question: str, options: Sequence[str], wording: Wording) -> str:
    """Put a question of AI2D."""
    asked = with_mark(question)
    named = [
        (label, _plain(option))
        for label, option in zip(labels_of(len(options), wording), options, strict=True)
    ]
    if wording == "upstream":
        return asked + "".join(f" ({label}) {option}" for label, option in named)
    lines = "\n".join(f"{label}. {option}" for label, option in named)
    return f"{asked}\n{lines}\n{BY_LETTER}"


def with_mark(question: str) -> str:
    """Return a question that ends in a question mark."""
    asked = _plain(question)
    return asked if asked.endswith("?") else f"{asked}?"


def _plain(text: str) -> str:
    """Return a text without what models take for control tokens, which no engine lets pass."""
    return " ".join(text.replace("<|", "< |").split())
