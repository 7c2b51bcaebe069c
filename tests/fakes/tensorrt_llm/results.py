"""A request's result: awaited on the loop that submitted it, or waited for without a limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.tensorrt_llm.answers import Logprob
from tests.fakes.tensorrt_llm.record import broken, report


@dataclass
class CompletionOutput:
    """As the library's."""

    index: int = 0
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[dict[int, Logprob]] = field(default_factory=list)
    finish_reason: str | None = None


class RequestOutput:
    """As the library's."""

    def __init__(self, request_id: int, abort: Callable[[int], None]) -> None:
        self.request_id = request_id
        self.outputs = [CompletionOutput()]
        self.finished = False
        self._abort = abort
        self._aborted = False
        self._abandoned = False
        self._error: Exception | None = None
        self._thread_event = threading.Event()
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
            self._event: asyncio.Event | None = asyncio.Event()
        except RuntimeError:
            self._loop = self._event = None

    def __await__(self) -> Generator[Any, None, RequestOutput]:
        return self.aresult().__await__()

    async def aresult(self) -> RequestOutput:
        if self._event is None:
            raise AssertionError(
                "The asyncio event loop was not present during initialization, so async "
                "operations are not available."
            )
        if asyncio.get_running_loop() is not self._loop:
            raise broken("awaited on another loop than the one it was submitted on")
        try:
            await self._event.wait()
        except asyncio.CancelledError:
            self._abandoned = True
            raise
        if self._error:
            raise self._error
        return self

    def result(self, timeout: float | None = None) -> RequestOutput:
        # The library gives `timeout` to nobody.
        self._thread_event.wait()
        if self._error:
            raise self._error
        return self

    def abort(self) -> None:
        if self.finished:
            report("abort_too_late", request=self.request_id)
            return
        if not self._aborted:
            self._aborted = True
            report("aborted", request=self.request_id)
            self._abort(self.request_id)

    def aborted(self) -> bool:
        return self._aborted

    def finish(self, output: CompletionOutput | Exception) -> None:
        """Give it its end; called by the executor's thread."""
        if self._loop is None:
            self._finish(output)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish, output)

    def _finish(self, output: CompletionOutput | Exception) -> None:
        if self._abandoned and not self._aborted:
            broken(f"request {self.request_id} went on after its task was cancelled")
        if isinstance(output, Exception):
            self._error = output
        else:
            self.outputs = [output]
        self.finished = True
        self._thread_event.set()
        if self._event:
            self._event.set()
