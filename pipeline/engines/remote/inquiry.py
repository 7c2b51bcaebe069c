"""An inquiry: one clip on its way to an answer, over several attempts and servers."""

from __future__ import annotations

import asyncio
import uuid

import structlog

from edgewatch.pipeline.engines.answers import unreadable
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.remote.dialect import Dialect
from edgewatch.pipeline.engines.remote.requests import Request
from edgewatch.pipeline.engines.remote.servers import Server
from edgewatch.pipeline.engines.remote.session import Session
from edgewatch.pipeline.engines.remote.trouble import (
    AnswerBroken,
    RequestRefused,
    Trouble,
)
from edgewatch.pipeline.errors import EngineBusy
from edgewatch.pipeline.types import Answer

log = structlog.get_logger(__name__)

ALL_ATTEMPTS = 1.5
"""Longest time for a clip over all attempts, as a share of what one request may take: a server
that hangs leaves time to ask another."""
SHORTEST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


class Inquiry:
    """Asks until there is an answer, or the clip's time is over.

    Each attempt has an id of its own, and is over (its connection closed) before the next begins:
    no late answer can come.
    """

    def __init__(self, session: Session, clip: AskedClip) -> None:
        self._session = session
        self._clip = clip
        self._id = uuid.uuid4().hex
        self._written: dict[Dialect, Request] = {}
        self._attempts = 0
        self._last = ""

    async def answer(self) -> Answer:
        """Return the answer; its score is NaN if the server's was none.

        Raises EngineBusy when its time is over (what went wrong is noted of the servers, and the
        next may fare better), EngineFailed when no server is well.
        """
        try:
            async with asyncio.timeout(ALL_ATTEMPTS * self._session.request_seconds):
                while True:
                    answer = await self._attempt()
                    if answer is not None:
                        return answer
                    await self._pause()
        except TimeoutError:
            why = f"a clip was not answered in time: {self._last or 'every slot was taken'}"
            raise EngineBusy(why) from None

    async def _attempt(self) -> Answer | None:
        """Ask once; None if it is right to ask again."""
        session = self._session
        server = await session.seats.take()
        try:
            request = await self._request(server.dialect)
            self._attempts += 1
            began_seconds = asyncio.get_running_loop().time()
            try:
                reply = await session.ask(server, request.body, f"{self._id}-{self._attempts}")
                return session.answer(server, reply, request.prompt_hash)
            except (AnswerBroken, RequestRefused) as trouble:
                session.note(server, trouble, began_seconds)
                log.warning("answer unreadable", server=server.place, reason=str(trouble))
                return unreadable(request.prompt_hash)
            except Trouble as trouble:
                session.note(server, trouble, began_seconds)
                self._remember(server, trouble)
                return None
        finally:
            session.seats.give_back(server)

    def _remember(self, server: Server, trouble: Trouble) -> None:
        self._last = f"{server.place} {trouble}"
        log.info(
            "clip asked again", server=server.place, attempt=self._attempts, reason=str(trouble)
        )

    async def _request(self, dialect: Dialect) -> Request:
        if dialect not in self._written:
            session = self._session
            self._written[dialect] = await session.writer.verdict(
                session.model.id, self._clip, dialect
            )
        return self._written[dialect]

    async def _pause(self) -> None:
        """Wait a little, longer each time, never the same: clips that failed together part."""
        longest = min(LONGEST_PAUSE_SECONDS, SHORTEST_PAUSE_SECONDS * 2**self._attempts)
        await asyncio.sleep(longest * (0.5 + 0.5 * self._session.random()))
