"""Replies: what a server says, read with suspicion. Pure.

Sources: OpenAI's API reference (models, chat completions); vLLM's and TensorRT-LLM's protocol
classes for `owned_by`, `root` and the forms of their errors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgewatch.pipeline.engines.answers import AnswerTokens, answer_of_tokens, spellings
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.remote.trouble import AnswerBroken
from edgewatch.pipeline.engines.wording import cleaned
from edgewatch.pipeline.errors import AnswerUnreadable, EngineFailed
from edgewatch.pipeline.types import Answer

LONGEST_COMPLAINT = 300
"""Characters of a server's error that are passed on; one that forbids a field repeats it all."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as /v1/models lists it."""

    id: str
    root: str
    """What the server loaded it from; empty where it does not say."""
    owned_by: str

    @property
    def hash(self) -> str:
        """First 8 hexadecimal digits of the SHA-256 of its id and the last part of its root.

        The folder before that differs between servers with the same weights. `created` is left
        out: vLLM and trtllm-serve give the time of the request.
        """
        weights = self.root.rstrip("/").rpartition("/")[2]
        return hashlib.sha256(f"{self.id}\n{weights}".encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Completion:
    """A chat completion, as far as it is needed."""

    model: str
    text: str
    tokens: tuple[tuple[str, float], ...] | None
    """The first token's most probable spellings, each with its natural logarithm of probability;
    None: the server gave none."""
    prompt_tokens: int | None


def models_in(body: bytes) -> list[ServedModel]:
    """Read the list of models. Raises AnswerBroken."""
    rows = _object(body).get("data")
    if not isinstance(rows, list):
        raise AnswerBroken('the list of models has no "data"')
    return [
        ServedModel(row["id"], _text(row.get("root")), _text(row.get("owned_by")))
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("id"), str)
    ]


def completion_in(body: bytes) -> Completion:
    """Read a chat completion. Raises AnswerBroken."""
    document = _object(body)
    choices = document.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise AnswerBroken("the answer has not exactly one choice")
    choice = choices[0]
    message = choice.get("message")
    usage = document.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return Completion(
        model=_text(document.get("model")),
        text=_text(message.get("content")) if isinstance(message, dict) else "",
        tokens=_first_tokens(choice.get("logprobs")),
        prompt_tokens=count if type(count) is int and count > 0 else None,
    )


def _first_tokens(logprobs: Any) -> tuple[tuple[str, float], ...] | None:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return None
    top = content[0].get("top_logprobs")
    if not isinstance(top, list) or not top:
        return None
    tokens = []
    for entry in top:
        token = entry.get("token") if isinstance(entry, dict) else None
        value = entry.get("logprob") if isinstance(entry, dict) else None
        if not isinstance(token, str) or isinstance(value, bool):
            raise AnswerBroken("a log-probability has no token or no number")
        if not isinstance(value, int | float):
            raise AnswerBroken("a log-probability has no token or no number")
        tokens.append((token, float(value)))
    return tuple(tokens)


def answer_words(form: Form) -> tuple[frozenset[str], frozenset[str]]:
    """Return all spellings of (the anomaly's answer, the normal one). Raises EngineFailed."""
    anomaly, normal = (
        frozenset(spellings(word)) for word in (form.anomaly_answer, form.normal_answer)
    )
    if anomaly & normal:
        raise EngineFailed(
            f'"{form.anomaly_answer}" and "{form.normal_answer}" are spelt alike: '
            'set [engine] answers to two clearly different words, as ["Yes", "No"]'
        )
    return anomaly, normal


def answer_from(
    tokens: Sequence[tuple[str, float]],
    words: tuple[frozenset[str], frozenset[str]],
    form: Form,
    prompt_hash: str,
) -> Answer:
    """Make the answer of spellings and their log-probabilities. Raises AnswerUnreadable.

    A server tells tokens as texts; two may be spelt alike, so places in the list stand for ids.
    """
    if all(token.startswith("token_id:") for token, _ in tokens):
        raise AnswerUnreadable("the server names tokens by number")
    places = [
        tuple(place for place, (token, _) in enumerate(tokens) if token in side) for side in words
    ]
    values = {place: value for place, (_, value) in enumerate(tokens)}
    return answer_of_tokens(values, AnswerTokens(*places), form, prompt_hash)


def complaint_in(body: bytes, secret: str | None) -> str:
    """Return what an error says, on one line, bounded, without the secret."""
    try:
        document = _object(body)
    except AnswerBroken:
        text = body[: 4 * LONGEST_COMPLAINT].decode("utf-8", "replace")
    else:
        error = document.get("error", document)
        said = error.get("message", error.get("detail")) if isinstance(error, dict) else error
        text = said if isinstance(said, str) else json.dumps(said)
    if secret:
        text = text.replace(secret, "(token)")
    return cleaned(text, LONGEST_COMPLAINT)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise AnswerBroken("the answer is no JSON") from None
    if not isinstance(document, dict):
        raise AnswerBroken("the answer is no JSON object")
    return document


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
