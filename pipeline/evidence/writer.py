"""The writer: the one thread in which the videos of all events are written."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

import structlog

from edgewatch.pipeline.evidence.order import Cut, Order
from edgewatch.pipeline.evidence.outcome import Outcome
from edgewatch.pipeline.evidence.recording import Recording
from edgewatch.pipeline.types import CameraName

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.5
"""How often packets that have come are written."""
COMMANDS = 4096

_Command: TypeAlias = Callable[[], None]


class VideoWriter:
    """Records what it is told to. `on_began` and `on_done` are called on its thread.

    `on_began(event_id, Unix time)`: the video begins there. `on_done(outcome)`: it is finished.
    Commands are handed over without waiting; beyond `COMMANDS` that wait they are dropped and
    counted (`dropped`), and a recording that misses its end is ended by its greatest length.
    """

    def __init__(
        self,
        *,
        on_began: Callable[[str, float], None],
        on_done: Callable[[Outcome], None],
        monotonic_seconds: Callable[[], float] = time.monotonic,
        new_recording: Callable[[Order], Recording] | None = None,
    ) -> None:
        self.dropped = 0
        self.cpu_seconds = 0.0
        """Of its thread, since it started."""
        self._on_began = on_began
        self._on_done = on_done
        self._now = monotonic_seconds
        self._new_recording = new_recording or (
            lambda order: Recording(order, monotonic_seconds=monotonic_seconds)
        )
        self._commands: queue.Queue[_Command | None] = queue.Queue(COMMANDS)
        self._recordings: dict[str, Recording] = {}
        self._begun: set[str] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evidence-videos", daemon=True)

    def start(self) -> None:
        """Start the thread. Once only."""
        self._thread.start()

    def begin(self, order: Order) -> bool:
        """Begin a recording; False if too much waits, or after `close`."""
        if self._closing.is_set():
            return False

        def command() -> None:
            self._recordings[order.event_id] = self._new_recording(order)

        return self._tell(command)

    def until(self, event_id: str, until_seconds: float) -> None:
        """Put off the Unix time at which a recording ends."""

        def command() -> None:
            if event_id in self._recordings:
                self._recordings[event_id].until(until_seconds)

        self._tell(command)

    def end(self, event_id: str, until_seconds: float, deadline_seconds: float) -> None:
        """Finish a recording when `until_seconds` (Unix) came, or at a deadline (monotonic)."""

        def command() -> None:
            if event_id in self._recordings:
                self._recordings[event_id].end(until_seconds, deadline_seconds)

        self._tell(command)

    def finish(self, event_id: str, why: Cut) -> None:
        """Finish a recording at once with what there is."""

        def command() -> None:
            if event_id in self._recordings:
                self._recordings[event_id].finish(why)

        self._tell(command)

    def finish_camera(self, camera: CameraName, why: Cut) -> None:
        """Finish all recordings of a camera at once with what there is."""

        def command() -> None:
            for recording in self._recordings.values():
                if recording.order.camera == camera:
                    recording.finish(why)

        self._tell(command)

    def close(self, limit_seconds: float) -> bool:
        """Finish everything and end the thread; False if it has not ended in time.

        What is not finished is mended at the next start.
        """
        self._closing.set()
        self._tell(lambda: None)
        if self._thread.ident is not None:
            self._thread.join(limit_seconds)
        return not self._thread.is_alive()

    def _tell(self, command: _Command) -> bool:
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            self.dropped += 1
            return False
        return True

    def _run(self) -> None:
        while not self._closing.is_set():
            self._obey()
            for event_id in list(self._recordings):
                self._step(event_id)
            self.cpu_seconds = time.thread_time()
        self._obey_all()
        for event_id, recording in list(self._recordings.items()):
            recording.finish("stopped")
            self._step(event_id, hurry=True)

    def _obey(self) -> None:
        """Carry out what was commanded; wait a tick for it, or for good if nothing is recorded."""
        wait_seconds = TICK_SECONDS if self._recordings else None
        began_seconds = self._now()
        while wait_seconds is None or wait_seconds > 0:
            try:
                command = self._commands.get(timeout=wait_seconds)
            except queue.Empty:
                return
            assert command is not None
            command()
            self._obey_all()
            if self._closing.is_set():
                return
            wait_seconds = began_seconds + TICK_SECONDS - self._now()

    def _obey_all(self) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            assert command is not None
            command()

    def _step(self, event_id: str, *, hurry: bool = False) -> None:
        recording = self._recordings[event_id]
        try:
            outcome = recording.step(hurry=hurry)
        except Exception as error:
            # Whatever it is, the other recordings and the thread must go on
            log.exception("evidence failed", camera=recording.order.camera, event_id=event_id)
            recording.abandon()
            outcome = Outcome(
                event_id, recording.order.camera, "failed", f"a fault: {type(error).__name__}"
            )
        if event_id not in self._begun and recording.start_seconds is not None:
            self._begun.add(event_id)
            self._on_began(event_id, recording.start_seconds)
        if outcome is not None:
            del self._recordings[event_id]
            self._begun.discard(event_id)
            self._on_done(outcome)
