"""A strict image server on loopback, in NIM's dialect and in OpenAI's, with faults on demand."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from aiohttp import web

from tests.fakes.server_thread import served

Trick = Literal[
    "silent",
    "drip",
    "cut_base64",
    "cut_answer",
    "text",
    "no_json",
    "huge",
    "endless",
    "link",
    "other_size",
    "filtered",
    "bomb",
]

_FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "nim": {
        "prompt": str,
        "mode": str,
        "seed": int,
        "steps": int,
        "width": int,
        "height": int,
        "cfg_scale": (int, float),
    },
    "openai": {
        "prompt": str,
        "size": str,
        "n": int,
        "seed": int,
        "num_inference_steps": int,
        "guidance_scale": (int, float),
        "max_sequence_length": int,
        "response_format": str,
    },
}
"""As the servers declare them; any other is refused with 422."""


def painted(seed: int, size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return what the server paints: BGR, each seed its own colour, brighter to the right."""
    width, height = size
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = (seed * 40 % 256, seed * 90 % 256, 200)
    picture[..., 1] = np.linspace(0, 250, width).astype(np.uint8)
    return picture


@dataclass
class ImageServer:
    """One server; `seen` is what it was asked."""

    dialect: Literal["nim", "openai"] = "openai"
    token: str | None = None
    trick: Trick | None = None
    status: int | None = None
    redirect: tuple[int, str] | None = None
    ready: bool = True
    jpeg: bool = False
    port: int = 0
    seen: list[dict[str, Any]] = field(default_factory=list)
    elsewhere: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @contextmanager
    def running(self) -> Iterator[ImageServer]:
        app = web.Application()
        if self.dialect == "nim":
            app.router.add_get("/v1/health/ready", self._ready)
            app.router.add_post("/v1/infer", self._paint)
        else:
            app.router.add_post("/v1/images/generations", self._paint)
        app.router.add_post("/moved", self._moved)
        with served(app) as (self.port,):
            yield self

    async def _ready(self, request: web.Request) -> web.Response:
        return web.json_response({"ready": self.ready}, status=200 if self.ready else 503)

    async def _moved(self, request: web.Request) -> web.StreamResponse:
        self.elsewhere += 1
        return await self._answer(request)

    async def _paint(self, request: web.Request) -> web.StreamResponse:
        if self.redirect is not None:
            status, target = self.redirect
            return web.Response(status=status, headers={"Location": target})
        return await self._answer(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if (
            self.token is not None
            and request.headers.get("Authorization") != f"Bearer {self.token}"
        ):
            return web.json_response({"detail": "no"}, status=401)
        body = await request.json()
        if (wrong := self._wrong(body)) is not None:
            return web.json_response({"detail": [wrong]}, status=422)
        self.seen.append(body)
        if self.status is not None:
            # A careless server repeats what it was sent.
            words = f"overloaded\n{dict(request.headers)}"
            return web.json_response({"error": {"message": words}}, status=self.status)
        return await self._play(request, body) or web.json_response(self._document(body))

    def _wrong(self, body: dict[str, Any]) -> str | None:
        known = _FIELDS[self.dialect]
        if unknown := sorted(body.keys() - known.keys()):
            return f"extra inputs are not permitted: {unknown}"
        if wrong := sorted(key for key in body if not isinstance(body[key], known[key])):
            return f"wrong type: {wrong}"
        if "seed" not in body or body["seed"] == 0:
            return "this would be another picture each time"
        return None

    async def _play(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse | None:
        match self.trick:
            case "silent":
                await asyncio.Event().wait()
            case "drip" | "endless":
                response = web.StreamResponse()
                await response.prepare(request)
                block = b" " if self.trick == "drip" else b" " * 4_000_000
                while True:
                    await response.write(block)
                    await asyncio.sleep(0.02 if self.trick == "drip" else 0)
            case "cut_answer":
                response = web.StreamResponse()
                response.content_length = 10_000
                await response.prepare(request)
                await response.write(b'{"data": [')
                assert request.transport is not None
                request.transport.close()
                return response
            case "no_json":
                return web.Response(text="<html>hello</html>", content_type="text/html")
        return None

    def _document(self, body: dict[str, Any]) -> dict[str, Any]:
        width, height = (
            (body["width"], body["height"])
            if self.dialect == "nim"
            else (int(side) for side in body["size"].split("x"))
        )
        if self.trick == "other_size":
            width += 16
        coded = cv2.imencode(
            ".jpg" if self.jpeg else ".png", painted(body["seed"], (width, height))
        )[1].tobytes()
        if self.trick == "bomb":
            coded = coded[:16] + (60_000).to_bytes(4, "big") * 2 + coded[24:]
        text = base64.b64encode(coded).decode()
        match self.trick:
            case "cut_base64":
                text = text[:101]
            case "text":
                text = base64.b64encode(b"this is no picture, it is text").decode()
        if self.dialect == "nim":
            reason = "CONTENT_FILTERED" if self.trick == "filtered" else "SUCCESS"
            artifact = {"base64": text, "finishReason": reason, "seed": body["seed"]}
            return {"artifacts": [artifact]}
        if self.trick == "link":
            return {"created": 1, "data": [{"url": "http://10.0.0.1/picture.png"}]}
        return {"created": 1, "data": [{"b64_json": text, "url": None}]}
