"""Bodies: what a server is asked, as OpenAI's chat completion in JSON. Pure.

Sources: OpenAI's API reference (chat completions); vLLM's and TensorRT-LLM's protocol classes for
`video_url`, `mm_processor_kwargs`, `continue_final_message`, `add_generation_prompt`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgewatch.pipeline.engines.question import Form, Question, verdict_question, words_question
from edgewatch.pipeline.engines.remote.dialect import Dialect

TOP_TOKENS = 20
"""Most log-probabilities that OpenAI's interface gives, and vLLM's default limit."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A clip as files: one video, or a picture for each frame."""

    kind: str
    """"video_url" or "image_url": the part's type and the name of its field."""
    media_type: str
    files: tuple[bytes, ...]
    fps: float
    """Rate of the frames within."""


def pictures_question(question: Question, count: int, fps: float) -> Question:
    """Return a question about pictures that says that they are one video, which nobody can see."""
    told = f"The {count} pictures are frames of one video, {fps:g} a second, in order."
    if count == 1:
        told = "The picture is one frame of a video."
    return replace(question, user=f"{told}\n\n{question.user}")


def asked(prompt: str, form: Form, *, words: bool, pictures: int, fps: float) -> Question:
    """Return what is asked about a clip; `pictures`: as so many it is sent, 0: as a video."""
    question = (words_question if words else verdict_question)(prompt, form)
    return pictures_question(question, pictures, fps) if pictures else question


def verdict_body(model: str, question: Question, attachment: Attachment, dialect: Dialect) -> bytes:
    """Return a request for one token and the probabilities of the most probable ones."""
    body = _chat(model, question, attachment, dialect)
    body |= {"max_tokens": 1, "logprobs": True, "top_logprobs": TOP_TOKENS}
    return json.dumps(body).encode()


def words_body(
    model: str, question: Question, attachment: Attachment, dialect: Dialect, most_tokens: int
) -> bytes:
    """Return a request for a description."""
    body = _chat(model, question, attachment, dialect)
    body["max_tokens"] = most_tokens
    return json.dumps(body).encode()


def _chat(
    model: str, question: Question, attachment: Attachment, dialect: Dialect
) -> dict[str, Any]:
    media = [{"type": attachment.kind, attachment.kind: {"url": url}} for url in _urls(attachment)]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": question.system},
        {"role": "user", "content": [*media, {"type": "text", "text": question.user}]},
    ]
    # A server's own default is 1.0: a verdict would then be drawn by lot.
    body: dict[str, Any] = {"model": model, "messages": messages, "temperature": 0}
    if question.answer_prefix:
        messages.append({"role": "assistant", "content": question.answer_prefix})
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    if dialect.takes_fps and attachment.kind == "video_url":
        body["mm_processor_kwargs"] = {"fps": attachment.fps}
    return body


def _urls(attachment: Attachment) -> Sequence[str]:
    head = f"data:{attachment.media_type};base64,"
    return [head + b64encode(file).decode("ascii") for file in attachment.files]
