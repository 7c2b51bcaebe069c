"""Asking a running daemon for a fire drill, by its control socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from edgewatch.pipeline.drill.result import DrillResult, decode_result
from edgewatch.pipeline.errors import DrillRefused, EngineFailed

CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Begun:
    """The drill was accepted."""

    drill_id: str
    kind: str
    terms: Mapping[str, float]
    """What its time limit is made of, in seconds."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A stage was reached."""

    stage: str
    seconds: float


async def ask_for_drill(
    socket: Path, camera: str, kind: str | None
) -> AsyncIterator[Begun | Reached | DrillResult]:
    """Have a camera drilled; yields what comes of it as it comes, the result last.

    Raises DrillRefused if it may not begin or no daemon answers, EngineFailed if that ends
    meanwhile.
    """
    asked = {"camera": camera, "kind": kind}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    connector = aiohttp.UnixConnector(str(socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post("http://edgewatch/drill", json=asked) as answer,
        ):
            if answer.status != 200:
                raise DrillRefused(_error(await answer.text()))
            async for line in answer.content:
                yield _update(line)
    except (aiohttp.ClientConnectorError, FileNotFoundError, PermissionError) as error:
        raise DrillRefused(
            f"no daemon answers at {socket} ({error.strerror or error}): a drill rehearses the "
            "service that runs. Start it with `edgewatch run`, run this as a user of its group, or "
            "name its settings with --config"
        ) from error
    except aiohttp.ClientError as error:
        raise EngineFailed(f"the daemon broke off: {error}") from error


def _update(line: bytes) -> Begun | Reached | DrillResult:
    try:
        told = json.loads(line)
        if "begun" in told:
            return Begun(**told["begun"])
        if "result" in told:
            return decode_result(told["result"])
        return Reached(told["stage"], told["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise EngineFailed("the daemon answered what this version cannot read") from error


def _error(text: str) -> str:
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text[:500]
