"""The event loop, as the threads of evidence reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec

P = ParamSpec("P")


class HomeLoop:
    """The loop that the keeper belongs to. Calls before `join` or after its end are for nobody."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def join(self) -> None:
        """Belong to the loop that runs."""
        self._loop = asyncio.get_running_loop()

    def call(self, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have it called on the loop soon. Any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # closed: a thread that outlived it
                self._loop.call_soon_threadsafe(lambda: call(*args, **kwargs))
