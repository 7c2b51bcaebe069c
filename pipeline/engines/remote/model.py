"""The remote model: clips scored by servers with OpenAI's interface."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.remote.inquiry import Inquiry
from edgewatch.pipeline.engines.remote.replies import ServedModel
from edgewatch.pipeline.engines.remote.servers import Server
from edgewatch.pipeline.engines.remote.session import Session
from edgewatch.pipeline.engines.remote.trouble import Trouble
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.wording import cleaned
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer

LONGEST_NAME = 100


class RemoteModel:
    """Asks servers about clips; each has at most `setup.max_batch` of them at once.

    An answered clip is not asked about again when the rest of its batch failed and the batch is
    given back: its answer is kept until then.
    """

    def __init__(self, setup: EngineSetup) -> None:
        self._setup = setup
        self._served: ServedModel | None = None
        self._session: Session | None = None
        self._kept: dict[bytes, Answer] = {}

    @property
    def name(self) -> str:
        """ "remote:", the served model's name, and a hash of what is told of its weights."""
        if self._served is None:
            return f"remote:{cleaned(self._setup.served_model or 'unknown', LONGEST_NAME)}"
        return f"remote:{cleaned(self._served.id, LONGEST_NAME)}@{self._served.hash}"

    @property
    def max_batch(self) -> int:
        """As many clips as all servers together take at once."""
        return self._setup.max_batch * max(1, len(self._setup.servers))

    async def start(self) -> None:
        """Become acquainted with every server; one that is fit is enough. Raises EngineFailed."""
        await self.close()
        session = Session(self._setup)
        try:
            await session.open()
        except BaseException:
            await session.close()
            raise
        self._session, self._served = session, session.model

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips, all at once. Raises EngineBusy or EngineFailed."""
        session = self._opened()
        failures: list[EngineBusy | EngineFailed] = []
        async with asyncio.TaskGroup() as tasks:
            scoring = [
                tasks.create_task(self._score(session, clip, failures), name=f"score clip {number}")
                for number, clip in enumerate(clips)
            ]
        if failures:
            raise min(failures, key=lambda error: isinstance(error, EngineBusy))
        answers = [answer for one in scoring if (answer := one.result()) is not None]
        self._kept.clear()
        return answers

    async def words(self, clip: AskedClip) -> str:
        """Describe a clip in a slot that no clip to be scored needs. Raises EngineBusy."""
        session = self._opened()
        try:
            async with asyncio.timeout(None) as given_up:
                with session.seats.lent(given_up) as server:
                    return await self._words(session, server, clip)
        except TimeoutError:
            raise EngineBusy("the slot was needed for a clip to be scored") from None

    async def close(self) -> None:
        """End all requests and connections; idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> Session:
        if self._session is None:
            raise EngineFailed("the engine was not started")
        return self._session

    async def _score(
        self, session: Session, clip: AskedClip, failures: list[EngineBusy | EngineFailed]
    ) -> Answer | None:
        """Score one clip; None if it failed, so that the others go on to their answers."""
        key = await session.writer.key(clip)
        if key not in self._kept:
            try:
                # Noted at once: the batch may fail, or be cancelled, before its last answer.
                self._kept[key] = await Inquiry(session, clip).answer()
            except (EngineBusy, EngineFailed) as error:
                failures.append(error)
                return None
        return self._kept[key]

    async def _words(self, session: Session, server: Server, clip: AskedClip) -> str:
        request = await session.writer.words(session.model.id, clip, server.dialect)
        began_seconds = asyncio.get_running_loop().time()
        try:
            return (await session.ask(server, request.body, f"{uuid.uuid4().hex}-words")).text
        except Trouble as trouble:
            session.note(server, trouble, began_seconds)
            raise EngineBusy(f"{server.place} {trouble}") from None
