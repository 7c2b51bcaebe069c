"""Acquaintance: what a server serves and understands, found out before it is given a clip."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
import structlog

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.remote.dialect import Dialect, dialect_of
from edgewatch.pipeline.engines.remote.replies import (
    Completion,
    ServedModel,
    answer_from,
    answer_words,
    completion_in,
    models_in,
)
from edgewatch.pipeline.engines.remote.requests import RequestWriter
from edgewatch.pipeline.engines.remote.transport import Transport
from edgewatch.pipeline.engines.remote.trouble import (
    FieldUnknown,
    RequestRefused,
    ServerGone,
    SettingsWrong,
)
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import AnswerUnreadable

log = structlog.get_logger(__name__)

LIST_SECONDS = 10.0
PROBE_PROMPT = "Report anything that is out of the ordinary."

Post = Callable[[bytes], Awaitable[bytes]]
"""Sends a chat completion to the server and returns its answer; raises Trouble."""


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """What was found out about a server that is fit to be asked."""

    dialect: Dialect
    answers_as: str
    """The model's name in its answers."""


async def models_at(transport: Transport, url: str, request_seconds: float) -> list[ServedModel]:
    """Ask a server which models it serves. Raises Trouble."""
    limit_seconds = min(LIST_SECONDS, request_seconds)
    try:
        models = models_in(await transport.get(f"{url}/models", limit_seconds=limit_seconds))
    except RequestRefused as trouble:
        raise SettingsWrong(trouble.what, trouble.cure) from None
    if not models:
        raise ServerGone("serves no model (yet)")
    return models


def chosen(models: list[ServedModel], name: str | None) -> ServedModel:
    """Return the model of a name; None: the first. Raises SettingsWrong if it is not there."""
    for model in models:
        if name is None or model.id == name:
            return model
    named = ", ".join(f'"{model.id}"' for model in models[:5])
    raise SettingsWrong(f'does not serve "{name}"', f"set [engine] served_model to one of {named}")


class Introduction:
    """Asks a server test questions until it is known whether, and how, clips can be asked about."""

    def __init__(self, setup: EngineSetup, writer: RequestWriter) -> None:
        self._setup = setup
        self._writer = writer
        self._words = answer_words(setup.form)

    async def to(self, model: ServedModel, place: str, post: Post) -> Acquaintance:
        """Become acquainted. Raises Trouble; SettingsWrong says how the server must be started."""
        dialect = dialect_of(model.owned_by)
        if self._setup.form.answer_prefix and not dialect.takes_prefix:
            raise SettingsWrong(
                "cannot go on with an answer that was begun for it",
                "leave [engine] answer_prefix empty, or serve the model with vLLM",
            )
        try:
            first, _ = await self._probe(model, dialect, 2, post)
        except FieldUnknown:
            dialect = dialect.without_fps()
            first, _ = await self._probe(model, dialect, 2, post)
        if self._setup.judges:
            self._check_probabilities(first, dialect, place)
        largest = self._setup.largest_clip.frames
        full, sent = await self._probe(model, dialect, largest, post)
        if self._setup.send == "video" and sent > 4:
            four, _ = await self._probe(model, dialect, 4, post)
            _check_frames((first, four, full), sent, self._setup.largest_clip.fps, dialect)
        log.info(
            "server ready",
            server=place,
            model=model.id,
            kind=dialect.name,
            told_fps=dialect.takes_fps and self._setup.send == "video",
            frames_sent=sent,
            prompt_tokens=full.prompt_tokens,
        )
        return Acquaintance(dialect, first.model)

    async def _probe(
        self, model: ServedModel, dialect: Dialect, frames: int, post: Post
    ) -> tuple[Completion, int]:
        """Ask about a grey clip; return the answer and how many frames were sent."""
        largest = self._setup.largest_clip
        # At the rate that the server is sent anyway, so that just these frames arrive.
        fps = largest.fps if frames == largest.frames else dialect.wanted_fps or largest.fps
        side = max(28, 28 * round(math.sqrt(largest.pixels) / 28))
        grey = np.full((frames, side, side, 3), 118, np.uint8)
        clip = AskedClip(grey, fps, PROBE_PROMPT)
        request = await self._writer.verdict(model.id, clip, dialect)
        try:
            return completion_in(await post(request.body)), request.frames
        except FieldUnknown:
            if dialect.takes_fps:
                raise
            raise SettingsWrong("forbids a field that it was not sent") from None
        except RequestRefused as trouble:
            cure = dialect.logprobs_cure if "logprob" in trouble.what.lower() else trouble.cure
            raise SettingsWrong(trouble.what, cure) from None

    def _check_probabilities(self, reply: Completion, dialect: Dialect, place: str) -> None:
        if reply.tokens is None:
            raise SettingsWrong(
                "gives no log-probabilities, which scores are made of", dialect.logprobs_cure
            )
        if all(token.startswith("token_id:") for token, _ in reply.tokens):
            raise SettingsWrong("names tokens by number", dialect.logprobs_cure)
        try:
            answer_from(reply.tokens, self._words, self._setup.form, "")
        except AnswerUnreadable as error:
            # One grey clip proves little; clips that go the same way are counted as not judged.
            log.warning(
                "server answers with other words",
                server=place,
                reason=str(error),
                first=[token for token, _ in reply.tokens[:3]],
                cure="set [engine] answers, or answer_prefix, as the model needs them",
            )


def _check_frames(
    replies: tuple[Completion, Completion, Completion], sent: int, fps: float, dialect: Dialect
) -> None:
    """Tell from prompts' lengths whether a server reads all frames, as many sample them anew.

    `replies`: to 2, to 4 and to `sent` frames. What it leaves out would also shift the others'
    times. A server that does not count its tokens is trusted.
    """
    counts = [reply.prompt_tokens for reply in replies]
    if any(count is None for count in counts):
        return
    two, four, full = (count or 0 for count in counts)
    read = 2.0 if four <= two else 2.0 + 2.0 * (full - two) / (four - two)
    if read < sent - 1:
        raise SettingsWrong(
            f"reads only about {read:.0f} of a clip's {sent} frames",
            dialect.frames_cure.format(frames=sent, fps=fps),
        )
