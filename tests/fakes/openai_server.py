"""A strict server with OpenAI's interface, over real HTTP on loopback, with faults on demand."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import ssl
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from aiohttp import web

from tests.fakes.openai_chat import Asked, Frames, Refusal, Violation, read

Kind = Literal["vllm", "trtllm", "nim"]
Trick = Literal[
    "hold",  # answers when `released` is set, or never
    "status",
    "cut",  # the connection breaks in the middle of the answer
    "garbage",
    "no_logprobs",
    "other_model",
    "reset",
    "other_tokens",
    "token_ids",
    "huge",
    "redirect",
    "nan",
]
_OWNERS = {"vllm": "vllm", "trtllm": "tensorrt_llm", "nim": "system"}
_READ_FRAMES = {"vllm": 32, "trtllm": 10, "nim": 32}
"""How many frames of a video each samples by default."""
WAIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request."""

    trick: Trick
    status: int = 500
    headers: tuple[tuple[str, str], ...] = ()


def red_square(frames: Frames) -> float:
    """Return P(anomaly): high if a red square can be seen anywhere."""
    colours = frames.astype(np.int16)
    red = (colours[..., 0] > 170) & (colours[..., 1] < 110) & (colours[..., 2] < 90)
    return 0.9 if red.sum() > 40 else 0.1


def moving_square(count: int, side: int, colour: tuple[int, int, int]) -> Frames:
    """Draw a square of a colour that moves to the right over blue-grey."""
    frames = np.empty((count, side, side, 3), np.uint8)
    frames[:] = (40, 90, 150)
    edge = max(8, side // 5)
    for number in range(count):
        left = number * (side - edge) // max(1, count - 1)
        frames[number, edge : 2 * edge, left : left + edge] = colour
    return frames


@dataclass
class OpenAiServer:
    """One server; killed and started again it has the same port.

    `faults` befall the next questions about clips, one each; `always` all of them.
    """

    kind: Kind = "vllm"
    model: str = "cosmos"
    root: str = "/models/Cosmos-Reason1-7B"
    token: str | None = None
    score: Callable[[Frames], float] = red_square
    mass: float = 0.98
    """Probability of both answers together."""
    answers: tuple[str, str] = ("Yes", "No")
    words: str = "A red square moves to the right."
    read_frames: int | None = None
    """Most frames that it reads of a video; None: the kind's default."""
    read_fps: float | None = None
    """It reads so many a second, however many there are, as vLLM does from 0.24 on."""
    tls: ssl.SSLContext | None = None
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault | None = None

    port: int = 0
    seen: list[Asked] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    """Verdicts about clips that were delivered in full, by hash of the clip's request."""
    most_in_flight: int = 0
    aborted: int = 0
    """Requests whose connection was closed before the answer."""
    elsewhere: int = 0
    """Requests that came to where a redirect points."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _runner: web.AppRunner | None = None
    _pending: set[asyncio.Task[Any] | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/version", self._version)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_route("*", "/elsewhere", self._elsewhere)
        # A handler ends with its client's connection, as a request does on a real server.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def kill(self) -> None:
        """End at once: connections break, nobody listens."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for task in list(self._pending):
            if task is not None:
                task.cancel()
        await runner.cleanup()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what came in."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(holds)

    @property
    def in_flight(self) -> int:
        """Requests that are being worked on: neither answered nor aborted."""
        return len(self._pending)

    @property
    def scored(self) -> list[Asked]:
        """What it was asked to score, acquaintances' grey clips left out."""
        return [one for one in self.seen if _is_clip(one)]

    # The interface

    async def _models(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        card: dict[str, Any] = {"id": self.model, "object": "model"}
        card["owned_by"] = _OWNERS[self.kind]
        card["created"] = len(self.request_ids)  # another each time, as with vLLM
        if self.kind == "vllm":
            card["root"] = self.root
        return web.json_response({"object": "list", "data": [card]})

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "1.2.1" if self.kind == "trtllm" else "0.11.0"})

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.json_response({})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request)) is not None:
            return refused
        task = asyncio.current_task()
        assert task is not None
        self._pending.add(task)
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request)
        except asyncio.CancelledError:
            self.aborted += task in self._pending
            raise
        finally:
            self._pending.discard(task)
            await asyncio.shield(self._tell())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self._check_request(request, body)
        try:
            asked = read(body, server=self.kind, model=self.model)
        except Refusal as refusal:
            return self._error(refusal.status, str(refusal), request)
        except Violation as violation:
            self.violations.append(str(violation))
            return self._error(400, f"violation: {violation}", request)
        self.seen.append(asked)
        await self._tell()
        fault = self.faults.popleft() if self.faults else self.always
        if fault is not None:
            answer = await self._fail(fault, request, asked)
            if answer is not None:
                return answer
        response = await self._sent(request, self._completion(asked))
        if _is_clip(asked):
            self.verdicts[hashlib.sha256(body).hexdigest()] += 1
        return response

    def _check_request(self, request: web.Request, body: bytes) -> None:
        if request.headers.get("Content-Type") != "application/json":
            self.violations.append("no Content-Type")
        if request.content_length != len(body):
            self.violations.append("no Content-Length: some servers refuse pieces")
        request_id = request.headers.get("X-Request-Id", "")
        if not request_id or request_id in self.request_ids:
            self.violations.append(f"request id {request_id!r} is missing or used twice")
        self.request_ids.append(request_id)

    def _refused(self, request: web.Request) -> web.Response | None:
        """Demand the token, whole and in its place alone."""
        if "Cookie" in request.headers or (self.token and self.token in str(request.url)):
            self.violations.append("a cookie, or the token in the address")
        if self.token is None or request.headers.get("Authorization") == f"Bearer {self.token}":
            return None
        return self._error(401, "Incorrect API key provided", request)

    def _error(self, status: int, message: str, request: web.Request) -> web.Response:
        # A careless server repeats what it was sent.
        message += f" (headers: {dict(request.headers)})"
        document: dict[str, Any] = {"message": message, "type": "error", "code": status}
        if self.kind == "vllm":
            document = {"error": document}
        return web.json_response(document, status=status)

    # Faults

    async def _fail(
        self, fault: Fault, request: web.Request, asked: Asked
    ) -> web.StreamResponse | None:
        """Do what goes wrong; None: go on and answer."""
        match fault.trick:
            case "hold":
                await self.released.wait()
                return None
            case "status":
                answer = self._error(fault.status, "trouble", request)
                answer.headers.update(dict(fault.headers))
                return answer
            case "redirect":
                return web.Response(status=307, headers={"Location": "/elsewhere"})
            case "reset":
                _break(request)
                raise asyncio.CancelledError
            case "cut" | "huge":
                return await self._broken_stream(fault, request, asked)
            case "garbage":
                return await self._sent(request, b'{"choices": [')
        document = json.loads(self._completion(asked))
        choice = document["choices"][0]
        match fault.trick:
            case "no_logprobs":
                choice["logprobs"] = None
            case "other_model":
                document["model"] = "another"
            case "other_tokens":
                choice["logprobs"] = _logprobs([("<th", 0.9), ("The", 0.05), ("An", 0.01)])
            case "token_ids":
                choice["logprobs"] = _logprobs([("token_id:9454", 0.9), ("token_id:2753", 0.05)])
            case "nan":
                choice["logprobs"]["content"][0]["top_logprobs"][0]["logprob"] = math.nan
        return await self._sent(request, json.dumps(document).encode())

    async def _broken_stream(
        self, fault: Fault, request: web.Request, asked: Asked
    ) -> web.StreamResponse:
        content = self._completion(asked)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if fault.trick == "cut":
            response.content_length = len(content)
            await response.prepare(request)
            await response.write(content[: len(content) // 2])
            _break(request)
            raise asyncio.CancelledError
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)

    # Answers

    def _completion(self, asked: Asked) -> bytes:
        shown = asked.frames
        most = _READ_FRAMES[self.kind] if self.read_frames is None else self.read_frames
        if asked.fps is not None and self.read_fps is not None:
            most = 2 * (max(4, int(len(shown) / asked.fps * self.read_fps)) // 2)
        if asked.kind == "video" and len(shown) > most:
            shown = shown[np.linspace(0, len(shown) - 1, most).astype(int)]
        count, height, width, _ = shown.shape
        media_tokens = (-(-count // 2) if asked.kind == "video" else count) * height * width // 784
        document = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": self.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": self._text(asked, shown)},
                    "logprobs": self._probabilities(asked, shown) if asked.top else None,
                    "finish_reason": "length",
                }
            ],
            "usage": {"prompt_tokens": 60 + media_tokens, "completion_tokens": 1},
        }
        return json.dumps(document).encode()

    def _text(self, asked: Asked, shown: Frames) -> str:
        if asked.top:
            return self.answers[0 if self.score(shown) >= 0.5 else 1]
        return " ".join(self.words.split()[: asked.most_tokens])

    def _probabilities(self, asked: Asked, shown: Frames) -> dict[str, Any]:
        """Spread each answer's mass over spellings, and the rest over other words."""
        score = self.score(shown)
        sides = zip(self.answers, (score * self.mass, (1 - score) * self.mass), strict=True)
        tokens = [
            (spelling, mass * share)
            for word, mass in sides
            for spelling, share in ((word, 0.6), (f" {word}", 0.3), (word.lower(), 0.1))
        ]
        rest = asked.top - len(tokens)
        tokens += [(f"other{n}", (1 - self.mass) / 2 / rest) for n in range(rest)]
        return _logprobs(sorted(tokens, key=lambda token: -token[1])[: asked.top])

    async def _sent(self, request: web.Request, content: bytes) -> web.Response:
        """Send a whole answer now, so that what follows in a handler knows it was delivered."""
        response = web.Response(body=content, content_type="application/json")
        await response.prepare(request)
        self._pending.discard(asyncio.current_task())  # the client may be faster than we
        await response.write_eof()
        return response

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def serving(*servers: OpenAiServer) -> AsyncIterator[None]:
    """Run servers for as long as the block lasts; what was asked of them must have been right."""
    try:
        for server in servers:
            await server.start()
        yield
    finally:
        for server in servers:
            await server.kill()
    for server in servers:
        assert server.violations == []


def _is_clip(asked: Asked) -> bool:
    """Whether it is about a clip, not an acquaintance's grey one, nor for words."""
    return asked.top > 0 and bool(np.ptp(asked.frames) > 60)


def _break(request: web.Request) -> None:
    """Let the connection end as a crashed server's does."""
    assert request.transport is not None
    request.transport.abort()


def _logprobs(tokens: list[tuple[str, float]]) -> dict[str, Any]:
    entries = [
        {"token": token, "logprob": math.log(max(probability, 1e-12)), "bytes": None}
        for token, probability in tokens
    ]
    return {"content": [{**entries[0], "top_logprobs": entries}]}
