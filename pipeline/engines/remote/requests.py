"""Requests: a clip and a question made ready to send, away from the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Question, free_question
from edgewatch.pipeline.engines.remote.bodies import (
    Attachment,
    asked,
    pictures_question,
    verdict_body,
    words_body,
)
from edgewatch.pipeline.engines.remote.dialect import Dialect
from edgewatch.pipeline.engines.remote.media import Shown, jpegs_of, mp4_of, retimed
from edgewatch.pipeline.engines.setup import EngineSetup

MOST_THREADS = 4
"""A clip takes a core some ten milliseconds; cameras need the others."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent about a clip."""

    body: bytes
    prompt_hash: str
    frames: int
    """How many frames are in it: not the clip's where a server takes a rate for granted."""


class RequestWriter:
    """Encodes clips and writes requests in threads of its own."""

    def __init__(self, setup: EngineSetup) -> None:
        self._setup = setup
        self._threads = ThreadPoolExecutor(
            min(MOST_THREADS, os.cpu_count() or 1), thread_name_prefix="remote engine"
        )

    async def key(self, clip: AskedClip) -> bytes:
        """Return what stands for a clip and its question: equal for equal ones alone."""
        return await self._aside(lambda: _key(clip))

    async def verdict(self, model: str, clip: AskedClip, dialect: Dialect) -> Request:
        """Write the request for a clip's score."""

        def write() -> Request:
            attachment, question, frames = self._asked(clip, dialect, words=False)
            return Request(
                verdict_body(model, question, attachment, dialect), question.hash, frames
            )

        return await self._aside(write)

    async def words(self, model: str, clip: AskedClip, dialect: Dialect) -> Request:
        """Write the request for a clip's description."""

        def write() -> Request:
            attachment, question, frames = self._asked(clip, dialect, words=True)
            most_tokens = self._setup.form.words_tokens
            body = words_body(model, question, attachment, dialect, most_tokens)
            return Request(body, question.hash, frames)

        return await self._aside(write)

    def close(self) -> None:
        """Let the threads end; what they write is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _aside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _asked(
        self, clip: AskedClip, dialect: Dialect, *, words: bool
    ) -> tuple[Attachment, Question, int]:
        """Return what is shown, what is asked, and how many frames are shown.

        A still is one picture whatever the server is sent else, and a clip's own question is asked
        as it stands where only its words are wanted.
        """
        if clip.still and clip.question and words:
            picture = Shown(clip.frames[:1], clip.fps)
            one = Attachment("image_url", "image/jpeg", tuple(jpegs_of(picture)), clip.fps)
            return one, free_question(clip.question), 1
        if self._setup.send != "video":
            shown = Shown(clip.frames, clip.fps)
            if self._setup.send == "image":
                middle = len(clip.frames) // 2
                shown = Shown(clip.frames[middle : middle + 1], clip.fps)
            files = tuple(jpegs_of(shown))
            attachment = Attachment("image_url", "image/jpeg", files, shown.fps)
        else:
            shown = retimed(clip.frames, clip.fps, dialect.wanted_fps)
            attachment = Attachment("video_url", "video/mp4", (mp4_of(shown),), shown.fps)
        pictures = len(attachment.files) if attachment.kind == "image_url" else 0
        if clip.question and words:
            question = free_question(clip.question)
            if pictures:
                question = pictures_question(question, pictures, shown.fps)
        else:
            question = asked(
                clip.prompt, self._setup.form, words=words, pictures=pictures, fps=shown.fps
            )
        return attachment, question, len(shown.frames)


def _key(clip: AskedClip) -> bytes:
    digest = hashlib.blake2b(clip.prompt.encode(), digest_size=16)
    digest.update(repr((clip.fps, clip.frames.shape)).encode())
    digest.update(clip.frames.data)
    return digest.digest()
