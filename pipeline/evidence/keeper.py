"""The keeper of evidence: the life of all that gathers it, and the space that it takes.

Belongs to the event loop and never makes it wait: videos are written in the writer's thread, small
files in a thread of their own, rows by the store's. An event is not touched by anything here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

import structlog

from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.evidence.folder import EvidenceFolder
from edgewatch.pipeline.evidence.gathering import Gathering, OnThumbnail
from edgewatch.pipeline.evidence.home_loop import HomeLoop
from edgewatch.pipeline.evidence.job_thread import JobThread
from edgewatch.pipeline.evidence.memories import Remembers, WantedMemories
from edgewatch.pipeline.evidence.observer import CameraEvidence
from edgewatch.pipeline.evidence.pause import Pause
from edgewatch.pipeline.evidence.quota import Quota
from edgewatch.pipeline.evidence.recovery import Recovered, recovered
from edgewatch.pipeline.evidence.rings import Rings
from edgewatch.pipeline.evidence.rows import EvidenceBooks, WaitingRows
from edgewatch.pipeline.evidence.trouble import EvidenceFailed
from edgewatch.pipeline.evidence.writer import VideoWriter
from edgewatch.pipeline.preroll import PreRoll
from edgewatch.pipeline.types import CameraName, Event

log = structlog.get_logger(__name__)

HOUSEKEEPING_SECONDS = 5.0
STOP_GRACE_SECONDS = 1.5
"""What the small files and the rows get, beyond the videos' time, when the service stops."""


class EvidenceKeeper:
    """Keeps evidence of live cameras' events. See `pipeline.evidence.observer` for who tells it.

    `on_thumbnail(camera, event_id, jpeg)` is called on the loop for each picture that is kept.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        books: EvidenceBooks,
        engine: Remembers,
        clock: Clock,
        on_thumbnail: OnThumbnail | None = None,
        folder: EvidenceFolder | None = None,
    ) -> None:
        self._settings = settings.evidence
        self._books = books
        self._clock = clock
        self.folder = folder or EvidenceFolder(settings.service.data_dir / "evidence")
        self._wake = asyncio.Event()
        self._loop = HomeLoop()
        self._pause = Pause(clock)
        self._rings = Rings(settings.evidence)
        self._rows = WaitingRows(books, on_change=self._wake.set)
        self._memories = WantedMemories(engine, on_change=self._wake.set)
        self._quota = Quota(settings.evidence, self.folder, books)
        self._files = JobThread(
            on_trouble=lambda error: self._loop.call(self._gathering.interrupt, str(error))
        )
        self._gathering = Gathering(
            settings.evidence,
            folder=self.folder,
            files=self._files,
            rings=self._rings,
            rows=self._rows,
            memories=self._memories,
            pause=self._pause,
            loop=self._loop,
            clock=clock,
            on_thumbnail=on_thumbnail,
        )
        self._observers: dict[CameraName, CameraEvidence] = {}
        self._found: dict[str, Recovered] = {}
        """What the last process left unfinished, by event."""
        self._stopping = False
        self._limit: asyncio.Timeout | None = None
        """Of `run`: none until it is to end."""

    # -- life --------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the threads and finish what a killed process left. Before anything else."""
        self._loop.join()
        self.writer.start()
        await self._guarded(self._files.do(self.folder.prepare))
        await self._guarded(self._recover())
        await self._guarded(self._keep_house())

    async def run(self) -> None:
        """Write rows, ask for memories, keep to the quota; until `stop`."""
        due_seconds = 0.0
        try:
            async with asyncio.timeout(None) as limit:
                self._limit = limit
                while not self._stopping:
                    await self._something_to_do()
                    await self._memories.ask()
                    await self._guarded(self._rows.save())
                    if self._clock.monotonic_seconds() >= due_seconds:
                        due_seconds = self._clock.monotonic_seconds() + HOUSEKEEPING_SECONDS
                        await self._guarded(self._keep_house())
        except TimeoutError:
            if not limit.expired():
                raise
            log.warning("evidence not finished", reason="disk, database or engine let it wait")
        finally:
            self._limit = None

    async def stop(self, limit_seconds: float) -> None:
        """Finish all videos with what there is, and end `run`, in bounded time."""
        self._end()
        whole_seconds = limit_seconds + STOP_GRACE_SECONDS
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + whole_seconds)
        try:
            async with asyncio.timeout(whole_seconds):
                # Not in the thread of files: what waits there for a disk must not hold this up
                await asyncio.to_thread(self.writer.close, limit_seconds)
                await self._files.do(lambda: None)  # the files of what the writer told last
                await self._guarded(self._rows.save())
        except TimeoutError:
            log.error("evidence not finished", cure="it is mended at the next start")

    async def close(self) -> None:
        """End the threads; idempotent."""
        self._end()
        self.writer.close(0.0)
        self._files.close()

    # -- asked from outside ------------------------------------------------------------------

    @property
    def writer(self) -> VideoWriter:
        """Who writes the videos."""
        return self._gathering.writer

    @property
    def paused(self) -> str | None:
        """Why nothing is kept at present, with the cure; None while all is well."""
        return self._pause.why

    def figures(self) -> Mapping[str, Any]:
        """Return how evidence is, for stats."""
        gathering, counts = self._gathering, self._gathering.counts
        left_out = (self._files, self._rows, self._memories, gathering.cases)
        return {
            "state": "paused" if self.paused else "on" if self._settings.enabled else "off",
            "detail": self.paused or "",
            "recording": gathering.cases.recording,
            "bytes": self._quota.used_bytes,
            "ready": counts["ready"],
            "failed": counts["failed"],
            "refused": counts["refused"],
            "removed": self._quota.removed,
            "left_out": sum(one.left_out for one in left_out) + self.writer.dropped,
        }

    def files_of(self, event: Event) -> tuple[str | None, str | None]:
        """Return where an event's video and thumbnail are or will be; None where there is none.

        The video is told once the event has ended; it can be played `post_seconds` later.
        """
        if event.replay:
            return None, None
        found = self._found.get(event.event_id)
        return self._gathering.paths(event) if found is None else found.paths

    def observer(self, plan: CameraPlan) -> CameraEvidence:
        """Return who is to be told of what happens to a camera."""
        camera = CameraName(plan.name)
        self._observers[camera] = CameraEvidence(self._gathering, plan, on_gone=self._forget)
        return self._observers[camera]

    def replan(self, plan: CameraPlan) -> None:
        """Take new settings of a camera."""
        self._rings.replan(plan)
        if (observer := self._observers.get(CameraName(plan.name))) is not None:
            observer.replan(plan)

    def ring(self, plan: CameraPlan) -> PreRoll:
        """Return where a camera's packets are kept: the same one for good."""
        return self._rings.of(plan)

    # -- within ------------------------------------------------------------------------------

    def _end(self) -> None:
        self._stopping = True
        self._gathering.stop()
        self._wake.set()

    async def _something_to_do(self) -> None:
        try:
            async with asyncio.timeout(HOUSEKEEPING_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _forget(self, camera: CameraName) -> None:
        """Let go of what was kept for a camera that is gone for good."""
        self._rings.forget(camera)
        self._observers.pop(camera, None)

    async def _keep_house(self) -> None:
        """Remove what is too old or too much; stop while the disk is full."""
        trouble = await self._quota.keep(
            now_seconds=self._clock.wall_seconds(),
            busy=lambda: {*self._gathering.cases.events, *self._rows.events},
            in_thread=self._files.do,
        )
        if not self._settings.enabled:
            return  # what was kept before still goes in its time
        if trouble is not None:
            self._gathering.interrupt(trouble)
        elif self._pause.end_if_over():
            self._gathering.cases.write_again()

    async def _recover(self) -> None:
        rows = {row.event_id: row for row in await self._books.evidence_in_state("recording")}
        now_seconds = self._clock.wall_seconds()
        for found in await self._files.do(partial(recovered, self.folder, rows, now_seconds)):
            row = found.row
            self._found[row.event_id] = found
            self._rows.keep(row)
            log.info("evidence mended", event_id=row.event_id, state=row.state, detail=row.detail)
        await self._rows.save()

    async def _guarded(self, work: Awaitable[None]) -> None:
        """Let neither database nor disk end the keeper: it tries again."""
        try:
            await work
        except StoreError as error:
            log.warning("evidence not on record yet", reason=str(error))
        except EvidenceFailed as error:
            self._gathering.interrupt(str(error))
