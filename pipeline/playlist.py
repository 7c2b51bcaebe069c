"""A playlist: recordings pushed through a flow, a few at a time, losslessly."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.errors import EdgewatchError
from edgewatch.pipeline.flow import Flow
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName
from edgewatch.pipeline.watch import Feed, Observer


def recording_feed(plan: CameraPlan, path: Path, camera: CameraName, speed: float | None) -> Feed:
    """Make the feed of a recording, judged as the camera of `plan` would be, under its own name.

    `speed`: footage seconds a second; None plays as fast as it can be judged.
    """
    plan = replace(
        plan, name=camera, url=os.fspath(path), password=None, enabled=True, loop=False, schedule=()
    )
    return Feed(plan, parse_source(os.fspath(path.absolute())), live=False, speed=speed)


class Playlist(Observer):
    """Adds the next recording when one is through, so that few decoders are open at a time.

    Itself an observer: the next one is added before a flow that ends when idle could end.
    """

    def __init__(
        self, flow: Flow, feeds: Iterable[Feed], *, parallel: int, observers: Sequence[Observer]
    ) -> None:
        self._flow = flow
        self._waiting = deque(feeds)
        self._names = [feed.camera for feed in self._waiting]
        self._parallel = parallel
        self._observers = (*observers, self)

    def start(self) -> None:
        """Add the first recordings."""
        for _ in range(min(self._parallel, len(self._waiting))):
            self._add_next()

    def cancel(self) -> None:
        """Add no more, and stop those at work."""
        self._waiting.clear()
        for name in self._names:
            if watch := self._flow.watch(name):
                watch.stop()

    def _add_next(self) -> None:
        if self._waiting:
            self._flow.add(self._waiting.popleft(), self._observers)

    def on_end(self, camera: CameraName, error: EdgewatchError | None) -> None:
        """Go on with the next recording."""
        self._add_next()
