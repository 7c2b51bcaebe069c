"""Waiting for what must come and tells nobody: looked at again and again, within a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

WAIT_SECONDS = 20.0
_LOOK_SECONDS = 0.005


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Return as soon as it holds. Raises TimeoutError."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(_LOOK_SECONDS)
