"""Handing recordings over to a running daemon, by its control socket."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from pydantic import ValidationError

from edgewatch.config.errors import ConfigError
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.recorder import RECORDED, Recorded
from edgewatch.tools.recordings import Recording

CONNECT_SECONDS = 5.0
MAX_LINE_BYTES = 64 * 1024 * 1024
"""Of one recording's result: about 100 hours of verdicts."""


async def hand_over(
    socket: Path, recordings: Sequence[Recording], *, camera: str | None, speed: float | None
) -> list[Recorded]:
    """Have a daemon judge recordings, which it must be able to read under the same paths.

    Raises ConfigError if there is no daemon behind the socket or it refuses, EngineFailed if it
    ends meanwhile.
    """
    asked = {
        "recordings": [[one.camera, os.fspath(one.path.absolute())] for one in recordings],
        "camera": camera,
        "speed": speed,
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(socket)),
                timeout=timeout,
                read_bufsize=MAX_LINE_BYTES,
            ) as session,
            session.post("http://edgewatch/replay", json=asked) as answer,
        ):
            if answer.status != 200:
                raise _refused(socket, (await answer.text())[:2000])
            recorded = [RECORDED.validate_json(line) async for line in answer.content]
    except (aiohttp.ClientConnectorError, FileNotFoundError, PermissionError) as error:
        raise ConfigError(
            f"--to {socket}: no daemon answers there ({error}). Start it with `edgewatch run`, or "
            "name its service.control_socket"
        ) from error
    except (aiohttp.ClientError, ValidationError) as error:
        raise EngineFailed(f"the daemon broke off: {error}") from error
    return recorded


def _refused(socket: Path, text: str) -> ConfigError:
    try:
        reason = str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        reason = text
    return ConfigError(f"--to {socket}: the daemon refused: {reason}")
