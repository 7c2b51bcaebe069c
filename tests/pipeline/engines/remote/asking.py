"""A remote model set up for the strict server, and clips whose answers are known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.remote import RemoteModel
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from tests.fakes.openai_server import OpenAiServer, moving_square

TOKEN = "t0p+s3cret/=token"
PROMPT = "A red square is an anomaly."
RED = (230, 60, 20)
GREEN = (40, 200, 60)
SIDE = 84


def clip(
    colour: tuple[int, int, int] = RED, *, frames: int = 8, fps: float = 4.0, side: int = SIDE
) -> AskedClip:
    """A square of a colour moves to the right; red is what the server takes for an anomaly."""
    return AskedClip(moving_square(frames, side, colour), fps, PROMPT)


def clips(count: int) -> list[AskedClip]:
    """Clips that all differ; every other one is an anomaly."""
    return [
        clip((230 - number, 60, 20) if number % 2 else (20, 60, 230 - number))
        for number in range(count)
    ]


def setup_for(*servers: OpenAiServer, **changes: Any) -> EngineSetup:
    """Return a set-up for servers; waits are short."""
    settings: dict[str, Any] = {
        "max_batch": 4,
        "token": servers[0].token,
        "request_seconds": 10.0,
        "largest_clip": LargestClip(frames=8, pixels=SIDE * SIDE, fps=4.0),
        "form": Form(words_tokens=5),
    }
    return EngineSetup(
        kind="remote", servers=tuple(server.url for server in servers), **settings | changes
    )


@asynccontextmanager
async def started(*servers: OpenAiServer, **changes: Any) -> AsyncIterator[RemoteModel]:
    """A started model for as long as the block lasts."""
    model = RemoteModel(setup_for(*servers, **changes))
    try:
        await model.start()
        yield model
    finally:
        await model.close()
