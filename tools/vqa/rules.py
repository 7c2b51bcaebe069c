"""Rules: what a reply is worth, by a data set's official rule and by upstream's. Pure.

MME: BradyFU/Awesome-Multimodal-Large-Language-Models, MME's eval_tool/calculation.py,
`parse_pred_ans`. AI2D: the option that is named (its letter, its text, its number).
Upstream: examples/models/core/multimodal/eval.py of TensorRT-LLM: the reply, in small letters,
holds any of the reference answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from edgewatch.tools.vqa.questions import PictureQuestion, TaskName
from edgewatch.tools.vqa.short_words import alike, on_one_line, vqa_accuracy

YesNo = Literal["yes", "no", "other"]
_LOOKED_AT = 4
"""Characters of a longer reply in which MME's tool looks for yes or no."""
_NUMBER = re.compile(r"\(?(\d{1,2})[).:]?")
_ANSWER_IS = re.compile(r"(?:the )?(?:correct )?(?:answer|option)(?: is)?:?\s*(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Worth:
    """What one reply is worth."""

    read_as: str
    """What the rule took the reply for: a cleaned answer, yes/no/other, an option's label."""
    value: float
    """0 to 1, by the official rule."""
    upstream: bool
    """Right by upstream's rule."""
    tool_alone: float | None = None
    """VQAv2: by its tool with the reply just as it came."""


UNANSWERED = Worth("", 0.0, False)
"""A question that the engine could not answer counts as answered wrong."""


def marked(task: TaskName, question: PictureQuestion, reply: str) -> Worth:
    """Return what a reply to a question is worth."""
    upstream = holds_a_reference(reply, upstream_references(question))
    match task:
        case "vqav2":
            return Worth(
                alike(on_one_line(reply)),
                vqa_accuracy(reply, question.references),
                upstream,
                vqa_accuracy(reply, question.references, cleaned=False),
            )
        case "mme":
            found = yes_or_no_of(reply)
            right = found == question.references[0].strip().lower()
            return Worth(found, float(right), upstream)
        case "ai2d":
            option = option_of(reply, question.options, question.labels)
            named = "" if option is None else question.labels[option]
            return Worth(named, float(option is not None and option == question.correct), upstream)


def upstream_references(question: PictureQuestion) -> tuple[str, ...]:
    """Return what upstream's rule looks for: of a choice, what the right option was called."""
    if question.correct is not None:
        return (question.labels[question.correct],)
    return question.references


def holds_a_reference(reply: str, references: tuple[str, ...]) -> bool:
    """Apply upstream's rule."""
    said = reply.lower().strip()
    return any(reference.lower() in said for reference in references)


def yes_or_no_of(reply: str) -> YesNo:
    """Read a reply as MME's tool does: yes or no within its first four characters."""
    said = reply.strip().lower()
    looked_at = said if said in ("yes", "no") else said[:_LOOKED_AT]
    if "yes" in looked_at:
        return "yes"
    return "no" if "no" in looked_at else "other"


def option_of(reply: str, options: tuple[str, ...], labels: tuple[str, ...]) -> int | None:
    """Return the index of the option that a reply names; None if it names none.

    First by what the option was called ("B", "(b)", "B. leaf", "The answer is B."), then by its
    exact text, then by its number counted from 1, where options were called by letters.
    """
    said = _trimmed(reply)
    for text in (said, _after_answer_is(said)):
        found = _by_label(text, options, labels)
        if found is None:
            found = _by_text(text, options)
        if found is None:
            found = _by_number(text, labels)
        if found is not None:
            return found
    return None


def _by_label(said: str, options: tuple[str, ...], labels: tuple[str, ...]) -> int | None:
    for index, (label, option) in enumerate(zip(labels, options, strict=True)):
        name = re.escape(label)
        if re.fullmatch(rf"\(?{name}\)?[.:]?", said, re.IGNORECASE):
            return index
        # "B leaf" alone would let "A plant" name the option A: the text must be that option's.
        if re.match(rf"(?:\({name}\)|{name}[.:)])\s*\S", said, re.IGNORECASE):
            return index
        if said.casefold() == f"{label} {_trimmed(option)}".casefold():
            return index
    return None


def _by_text(said: str, options: tuple[str, ...]) -> int | None:
    wanted = said.casefold()
    texts = [_trimmed(option).casefold() for option in options]
    return texts.index(wanted) if wanted and wanted in texts else None


def _by_number(said: str, labels: tuple[str, ...]) -> int | None:
    number = _NUMBER.fullmatch(said)
    if number is None or labels[0].isdigit():
        return None
    index = int(number[1]) - 1
    return index if 0 <= index < len(labels) else None


def _after_answer_is(said: str) -> str:
    found = _ANSWER_IS.fullmatch(said)
    return _trimmed(found[1]) if found else ""


def _trimmed(text: str) -> str:
    return on_one_line(text).strip(" \"'").removesuffix(".").strip()
