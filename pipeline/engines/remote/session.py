"""A session: from the engine's start to its end, with the servers it has become acquainted with."""

from __future__ import annotations

import asyncio
import random
import uuid
from functools import partial
from urllib.parse import urlsplit

import structlog

from edgewatch.pipeline.engines.answers import unreadable
from edgewatch.pipeline.engines.remote.acquaintance import Introduction, chosen, models_at
from edgewatch.pipeline.engines.remote.replies import (
    Completion,
    ServedModel,
    answer_from,
    answer_words,
    completion_in,
)
from edgewatch.pipeline.engines.remote.requests import RequestWriter
from edgewatch.pipeline.engines.remote.seats import Seats
from edgewatch.pipeline.engines.remote.servers import Server, Servers
from edgewatch.pipeline.engines.remote.transport import Transport
from edgewatch.pipeline.engines.remote.trouble import (
    AnswerBroken,
    RequestRefused,
    ServerBusy,
    ServerGone,
    ServerLost,
    SettingsWrong,
    Trouble,
)
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import AnswerUnreadable, EngineFailed
from edgewatch.pipeline.types import Answer

log = structlog.get_logger(__name__)

LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))


class Session:
    """Servers, seats and connections; made by `opened`, ended by `close`."""

    def __init__(self, setup: EngineSetup) -> None:
        """Raises EngineFailed if the answers cannot be told apart."""
        self.request_seconds = setup.request_seconds
        self.random = random.random
        self.model = ServedModel("", "", "")
        self.writer = RequestWriter(setup)
        self._servers = Servers(
            [url.rstrip("/") for url in setup.servers], slots=setup.max_batch, random=self.random
        )
        self.seats = Seats(self._servers)
        self._form = setup.form
        self._wanted_model = setup.served_model
        self._words = answer_words(setup.form)
        self._introduction = Introduction(setup, self.writer)
        self._transport = Transport(token=setup.token, ca_file=setup.ca_file)
        self._has_token = setup.token is not None
        self._trying: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Become acquainted with every server; one that is fit is enough. Raises EngineFailed."""
        self._warn_of_plain_text()
        try:
            self._transport.open()
        except SettingsWrong as trouble:
            raise EngineFailed(f"the server {trouble.what}", trouble.cure) from None
        self.model = await self._choose_model()
        await self._try(self._servers.due(float("inf")))
        if not self._servers.any_well:
            raise self._servers.failure()
        self._trying = asyncio.create_task(self._keep_trying(), name="try servers again")

    async def close(self) -> None:
        """End every request and connection; idempotent."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.wait([self._trying])
            if not self._trying.cancelled() and (error := self._trying.exception()):
                log.error("servers are no longer tried", exc_info=error)
            self._trying = None
        await self._transport.close()
        self.writer.close()

    async def ask(self, server: Server, body: bytes, request_id: str) -> Completion:
        """Send a chat completion. Raises Trouble."""
        reply = completion_in(await self._post(server, body, request_id))
        if reply.model != server.answers_as:
            raise ServerGone(f'serves "{reply.model[:100]}" by now')
        return reply

    def answer(self, server: Server, reply: Completion, prompt_hash: str) -> Answer:
        """Make the answer of a reply; one of NaN if the model said something else.

        Raises AnswerBroken if the reply has no probabilities.
        """
        if reply.tokens is None:
            raise AnswerBroken("gives no log-probabilities")
        self._servers.answered(server)
        try:
            return answer_from(reply.tokens, self._words, self._form, prompt_hash)
        except AnswerUnreadable as error:
            log.warning("answer unreadable", server=server.place, reason=str(error))
            return unreadable(prompt_hash)

    def note(self, server: Server, trouble: Trouble, began_seconds: float) -> None:
        """Draw from a trouble what it means for its server; the request began at a loop's time."""
        now_seconds = asyncio.get_running_loop().time()
        was_well = server.well
        rest = trouble.retry_after_seconds
        if isinstance(trouble, ServerBusy) or rest is not None:
            self._servers.busy(server, now_seconds, rest)
        if isinstance(trouble, ServerLost | AnswerBroken):
            self._servers.lost(server, began_seconds, now_seconds, trouble)
        elif isinstance(trouble, ServerGone | SettingsWrong):
            if was_well:
                self._servers.leave_out(server, now_seconds, trouble)
        elif isinstance(trouble, RequestRefused):
            self._servers.answered(server)
        if was_well and not server.well:
            log.warning("server left out", server=server.place, reason=str(server.trouble))
        self.seats.tell_change()

    def _warn_of_plain_text(self) -> None:
        for server in self._servers if self._has_token else ():
            address = urlsplit(server.url)
            if address.scheme == "http" and address.hostname not in LOOPBACK:
                log.warning(
                    "token is sent unencrypted", server=server.place, cure="use an https:// url"
                )

    async def _choose_model(self) -> ServedModel:
        """Return the model that is wanted, as the first server that has it lists it."""
        servers = list(self._servers)
        lists = await asyncio.gather(
            *(models_at(self._transport, server.url, self.request_seconds) for server in servers),
            return_exceptions=True,
        )
        for server, models in zip(servers, lists, strict=True):
            try:
                if isinstance(models, BaseException):
                    raise models
                return chosen(models, self._wanted_model)
            except Trouble as trouble:
                server.trouble = trouble
        raise self._servers.failure()

    async def _keep_trying(self) -> None:
        """Try servers that are left out again, each at its time."""
        while True:
            await self.seats.change(self._servers.next_due_seconds())
            await self._try(self._servers.due(asyncio.get_running_loop().time()))

    async def _try(self, servers: list[Server]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for server in servers:
                tasks.create_task(self._try_one(server), name=f"try {server.place}")

    async def _try_one(self, server: Server) -> None:
        """Become acquainted with a server, anew if need be: it may have been started otherwise."""
        known = str(server.trouble)
        try:
            models = await models_at(self._transport, server.url, self.request_seconds)
            model = chosen(models, self.model.id)
            if model.hash != self.model.hash:
                raise SettingsWrong(f'serves other weights as "{model.id[:100]}" than the others')
            post = partial(self._post, server)
            found = await self._introduction.to(model, server.place, post)
        except Trouble as trouble:
            self._servers.leave_out(server, asyncio.get_running_loop().time(), trouble)
            if str(trouble) != known:
                log.warning("server left out", server=server.place, reason=str(server.trouble))
        else:
            self._servers.admit(server, found.dialect, found.answers_as)
        self.seats.tell_change()

    async def _post(self, server: Server, body: bytes, request_id: str | None = None) -> bytes:
        return await self._transport.post(
            f"{server.url}/chat/completions",
            body,
            request_id=request_id or f"{uuid.uuid4().hex}-probe",
            limit_seconds=self.request_seconds,
        )
