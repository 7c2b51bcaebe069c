"""The video of one event, from the camera's ring to a file. Used by the writer's thread alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from edgewatch.pipeline.evidence.order import Cut, Order
from edgewatch.pipeline.evidence.outcome import Gap, Outcome
from edgewatch.pipeline.evidence.parameters import Parameters
from edgewatch.pipeline.evidence.placing import Placing
from edgewatch.pipeline.evidence.trouble import EvidenceFailed, failed
from edgewatch.pipeline.evidence.video_file import VideoFile, open_video_file
from edgewatch.pipeline.preroll import KeptPacket, Placed

STEP_SECONDS = 0.2
"""What one recording may take of the thread at a time, for the others' sake."""
CLOCK_SET_SECONDS = 300.0
"""Further behind what is wanted no packet lies but by another clock."""
BATCH = 128
"""Packets taken from the ring in one go."""
LATE_SECONDS = 10.0
"""What encoding may take beyond an event's end."""
_FOLDER_MODE = 0o750
_FILE_MODE = 0o640


class Recording:
    """Writes the video of an order bit by bit."""

    def __init__(
        self,
        order: Order,
        *,
        monotonic_seconds: Callable[[], float],
        open_file: Callable[[Path, Sequence[KeptPacket], str], VideoFile] = open_video_file,
    ) -> None:
        self.order = order
        self._now = monotonic_seconds
        self._open_file = open_file
        self._name = "/".join(order.path.parts[-3:])
        self._until_seconds = order.until_seconds
        self._deadline_seconds: float | None = None
        self._latest_seconds = monotonic_seconds() + order.most_seconds + LATE_SECONDS
        """When it ends though it never heard of its event's end (monotonic)."""
        self._at_once: Cut = ""
        self._next = order.start
        self._file: VideoFile | None = None
        self._parameters = Parameters()
        self._placing = Placing()
        self._waits_for_key = True
        self._key_tick = 0
        self._connection: int | None = None
        self._gaps: list[Gap] = []
        self._packets = self._missed = 0
        self._cut: Cut = ""

    @property
    def start_seconds(self) -> float | None:
        """Unix time at which the video begins; None while there is none."""
        return self._placing.start_seconds

    def until(self, seconds: float) -> None:
        """Put off (or bring forward) the Unix time after which nothing is wanted."""
        self._until_seconds = seconds

    def end(self, until_seconds: float, deadline_seconds: float) -> None:
        """Say that the event has ended: finish at `until_seconds`, or at the deadline.

        The deadline (monotonic) is for a camera that sends nothing, or whose clock was set.
        """
        self._until_seconds = until_seconds
        self._deadline_seconds = deadline_seconds

    def finish(self, why: Cut) -> None:
        """Finish at once with what there is."""
        self._deadline_seconds = self._now()
        self._at_once = self._at_once or why

    def step(self, *, hurry: bool = False) -> Outcome | None:
        """Write what has come; returns what became of it once it is finished.

        `hurry`: take as long as it needs.
        """
        began_seconds = self._now()
        if self._deadline_seconds is None and began_seconds >= self._latest_seconds:
            self.finish("max_seconds")
        try:
            for one, following in self._arrived():
                if self._is_over(one, began_seconds):
                    return self._finished()
                if self._is_early(one):
                    break
                self._write(one, following)
                if self._cut:
                    return self._finished()
                if not hurry and self._now() - began_seconds > STEP_SECONDS:
                    return self._finished() if self._is_late(began_seconds) else None
            if self._deadline_seconds is not None and began_seconds >= self._deadline_seconds:
                return self._finished()
            self._check_size()
            return self._finished() if self._cut else None
        except EvidenceFailed as error:
            return self._failed(error)

    def abandon(self) -> None:
        """Let go of the file without finishing it; the next start mends it."""
        self._file = None

    def _arrived(self) -> Iterator[tuple[Placed, Sequence[Placed]]]:
        """Yield each packet that has come, with those that it came with."""
        ring = self.order.ring
        if self._next is None:
            self._next = ring.start_for(self.order.begin_seconds)
        while self._next is not None:
            placed = ring.since(self._next, BATCH)
            for one in placed:
                yield one, placed
            if len(placed) < BATCH:
                return

    def _is_over(self, one: Placed, now_seconds: float) -> bool:
        """Whether the event has ended, and this packet lies behind what is wanted of it."""
        if self._deadline_seconds is None or not self._is_beyond(one):
            return False
        return self._file is not None or now_seconds >= self._deadline_seconds

    def _is_early(self, one: Placed) -> bool:
        """Whether it need not be written yet: nobody knows whether it will be wanted."""
        return (
            self._deadline_seconds is None
            and self._is_beyond(one)
            and not self.order.ring.is_at_risk(one.packet)
        )

    def _is_beyond(self, one: Placed) -> bool:
        """Whether it lies behind what is wanted; not if only because the clock was set."""
        return 0.0 <= one.time_seconds - self._until_seconds <= CLOCK_SET_SECONDS

    def _is_late(self, now_seconds: float) -> bool:
        return (
            self._deadline_seconds is not None
            and now_seconds >= self._deadline_seconds + LATE_SECONDS
        )

    def _write(self, one: Placed, following: Sequence[Placed]) -> None:
        packet = one.packet
        missed = packet.number - (self._next or 0)
        self._next = packet.number + 1
        if missed and self._file is not None:
            self._missed += missed
            self._waits_for_key = True
        if self._waits_for_key and not packet.key:
            return
        if packet.key and not self._parameters.fit(packet):
            self._cut = "parameters"
            return
        if self._file is None:
            self._begin(packet, following)
        assert self._file is not None
        before_seconds = self._placing.seconds
        reconnected = self._connection not in (None, packet.connection)
        tick = self._placing.place(packet, one.time_seconds)
        if self._waits_for_key or reconnected:
            self._key_tick = tick
            if self._packets:
                self._note_gap(before_seconds, "reconnect" if reconnected else "missed")
        elif tick < self._key_tick:
            return  # shown before the key frame it follows: it refers to what is not there
        self._waits_for_key = False
        self._connection = packet.connection
        if self._placing.seconds > self.order.most_seconds:
            self._cut = "max_seconds"
            return
        self._file.write(packet, tick)
        self._packets += 1

    def _begin(self, packet: KeptPacket, following: Sequence[Placed]) -> None:
        same = [
            one
            for one, _ in following
            if one.connection == packet.connection and one.number >= packet.number
        ]
        try:
            self._file = self._opened(same)
        except EvidenceFailed:
            if self.order.path.parent.exists():
                raise
            self._file = self._opened(same)  # older evidence went just now, and its folder with it

    def _opened(self, first: Sequence[KeptPacket]) -> VideoFile:
        try:
            self.order.path.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
        except OSError as error:
            raise failed(self._name, error) from error
        return self._open_file(self.order.part, first, self._name)

    def _note_gap(self, before_seconds: float, why: Literal["reconnect", "missed"]) -> None:
        coding = self._parameters.coding
        at_seconds = float(self._key_tick * (coding.time_base if coding else 0))
        self._gaps.append(Gap(at_seconds, max(0.0, at_seconds - before_seconds), why))

    def _check_size(self) -> None:
        if self._file is not None:
            try:
                size_bytes = self.order.part.stat().st_size
            except OSError as error:
                raise failed(self._name, error) from error
            if size_bytes > self.order.most_bytes:
                self._cut = "max_bytes"

    def _finished(self) -> Outcome:
        self._cut = self._cut or self._at_once
        file, self._file = self._file, None
        if file is None or not self._packets:
            words = "the camera sent no video in time" if file is None else "no picture was whole"
            if file is not None:
                file.close()
                with suppress(OSError):  # the next start takes it away
                    self.order.part.unlink(missing_ok=True)
            return self._outcome("failed", f"{self._name}: {words}", file)
        file.close()
        try:
            self.order.part.chmod(_FILE_MODE)
            self.order.part.replace(self.order.path)
        except OSError as error:
            raise failed(self._name, error) from error
        return self._outcome("ready", "", file)

    def _failed(self, error: EvidenceFailed) -> Outcome:
        """Keep what can be played of a video that broke off."""
        file, self._file = self._file, None
        self._cut = "disk" if error.disk else self._cut
        if file is not None:
            with suppress(EvidenceFailed):
                file.close()
        return self._outcome("failed", str(error), file, disk=error.disk)

    def _outcome(
        self,
        state: Literal["ready", "failed"],
        detail: str,
        file: VideoFile | None,
        *,
        disk: bool = False,
    ) -> Outcome:
        return Outcome(
            self.order.event_id,
            self.order.camera,
            state,
            detail,
            disk=disk,
            cut=self._cut,
            codec=file.codec if file else "",
            source=self._parameters.coding,
            reencoded=bool(file and file.reencoded),
            stretches=self._placing.stretches,
            gaps=tuple(self._gaps),
            seconds=self._placing.seconds,
            packets=self._packets,
            missed_packets=self._missed,
        )
