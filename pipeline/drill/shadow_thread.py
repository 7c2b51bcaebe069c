"""The shadow's thread: takes live clips as they come, and hands over their copies."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import structlog

from edgewatch.pipeline.drill.composer import Composed, Composer, NoPlace
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.types import Clip, Frame
from edgewatch.pipeline.watch import Reports

log = structlog.get_logger(__name__)


class ShadowThread:
    """A `CameraThread` whose source is another camera's clips.

    `on_composed` and `on_trouble` are called on its thread: with each copy just before it is handed
    over, and with a sentence if there can be none.
    """

    latest_frame: Frame | None = None

    def __init__(
        self,
        composer: Composer,
        outlet: Mailbox[Clip],
        reports: Reports,
        *,
        on_composed: Callable[[Composed], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._clips: queue.SimpleQueue[Clip | None] = queue.SimpleQueue()
        self._composer = composer
        self._outlet = outlet
        self._reports = reports
        self._on_composed = on_composed
        self._on_trouble = on_trouble
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drill", daemon=True)

    def start(self) -> None:
        """Begin to copy."""
        self._thread.start()

    def take(self, clip: Clip) -> None:
        """Have a clip copied next; never waits. Any thread."""
        self._clips.put(clip)

    def stop(self) -> None:
        """Ask it to end; what it has not copied by then it leaves."""
        self._stopped.set()
        self._clips.put(None)

    def join(self, timeout_seconds: float) -> bool:
        """Wait for its end; False if it has not ended in time."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set() and (clip := self._clips.get()) is not None:
                composed = self._composer.compose(clip)
                if not self._stopped.is_set():
                    self._on_composed(composed)
                    self._outlet.offer(composed.clip)
        except NoPlace:
            self._on_trouble("nearly all of the picture is ignored ([[cameras]] ignore)")
        except Exception as error:
            log.exception("drill's clips not made")
            self._on_trouble(f"{type(error).__name__}: {error}")
        finally:
            self._reports.on_end(None)
            self._outlet.close()
