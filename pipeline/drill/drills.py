"""The drills: one at a time, on request or by the timetable; what came of each is kept and told."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Protocol

import structlog

from edgewatch.pipeline.announce import Speaker
from edgewatch.pipeline.backlog import OutboxMessage
from edgewatch.pipeline.drill.incidents import kind_for
from edgewatch.pipeline.drill.leak import is_drill_payload
from edgewatch.pipeline.drill.limits import limits_of
from edgewatch.pipeline.drill.names import shadow_of
from edgewatch.pipeline.drill.rehearsal import Order, Rehearsal
from edgewatch.pipeline.drill.result import DrillResult, result_payload
from edgewatch.pipeline.drill.standing import Standing, standing_of
from edgewatch.pipeline.drill.surroundings import Surroundings
from edgewatch.pipeline.drill.timetable import Timetable
from edgewatch.pipeline.errors import DrillRefused, StoreError
from edgewatch.pipeline.messages import Topics, encode
from edgewatch.pipeline.notify.notices import Notices
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.types import CameraName, DrillMark
from edgewatch.pipeline.watch import Watch

TIMETABLE_SECONDS = 20.0
"""How often the timetable is looked at."""
UNKNOWN_P95_SECONDS = 1.0
"""Taken for the engine's latency before it has judged anything."""

log = structlog.get_logger(__name__)


class DrillBooks(Protocol):
    """Where results are kept; a StoreThread in the product. Each may raise StoreError."""

    async def save_drill(self, result: DrillResult, messages: Sequence[OutboxMessage] = ()) -> None:
        """Keep what came of a drill, and who is to be told beside MQTT."""

    async def last_drills(self) -> dict[str, DrillResult]:
        """Return by camera its newest drill."""

    async def drills_passed(self) -> dict[str, float]:
        """Return by camera when its newest drill that passed began."""

    async def known_since(self, camera: CameraName) -> float | None:
        """Return since when there are records of a camera."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What `[drill]` says."""

    kind: str
    timetable: Timetable
    remind_after_days: int
    margin_seconds: float

    @classmethod
    def of(cls, *, kind: str, at: str | None, every_days: int, remind: int, margin: float) -> Rules:
        """Take them as the settings hold them; `at` as "04:00"."""
        at_time = None if at is None else time.fromisoformat(at)
        return cls(kind, Timetable(at_time, every_days), remind, margin)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that a running drill has reached."""

    name: str
    seconds: float
    """From its start."""


@dataclass(slots=True)
class Ticket:
    """A drill that was accepted: what is told of it while it runs, to whoever asked."""

    camera: CameraName
    order: Order
    told: asyncio.Queue[Stage | DrillResult | None] = field(default_factory=asyncio.Queue)

    async def updates(self) -> AsyncIterator[Stage | DrillResult]:
        """Yield each stage as it is reached, then the result; without one the service stopped."""
        while (update := await self.told.get()) is not None:
            yield update
            if isinstance(update, DrillResult):
                return


class Drills:
    """Runs fire drills for as long as `run` runs. All methods belong to the event loop.

    Whoever asked for one may go away: the drill goes on to its end, which its limits bring.
    """

    def __init__(
        self,
        around: Surroundings,
        books: DrillBooks,
        *,
        rules: Rules,
        speaker: Speaker,
        topics: Topics,
        stats: Stats,
        notices: Notices,
        local_now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """`speaker`, `topics`: of the live topics."""
        self._around = around
        self._books = books
        self._rules = rules
        self._speaker = speaker
        self._topics = topics
        self._stats = stats
        self._notices = notices
        self._local_now = local_now
        self._orders: asyncio.Queue[Ticket] = asyncio.Queue(1)
        self._ticket: Ticket | None = None
        """The drill that is under way, or about to be."""
        self._rehearsal: Rehearsal | None = None
        self._latest: dict[str, DrillResult] = {}
        self._passed: dict[str, float] = {}
        self._known: dict[str, float | None] = {}

    async def load(self, cameras: Iterable[str]) -> None:
        """Read what came of earlier drills of these cameras, and have the broker keep it."""
        try:
            self._latest = await self._books.last_drills()
            self._passed = await self._books.drills_passed()
            for camera in cameras:
                self._known[camera] = await self._books.known_since(CameraName(camera))
                if camera in self._latest:
                    self._publish(self._latest[camera])
        except StoreError as error:
            log.warning("earlier drills not read", detail=str(error))

    # -- asking ------------------------------------------------------------------------------

    def order(self, camera: str, kind: str | None = None, by: str = "cli") -> Ticket:
        """Have a camera drilled, as soon as possible. Raises DrillRefused."""
        watch = self._around.flow.watch(CameraName(camera))
        if watch is None or not watch.feed.live:
            names = [one.camera for one in self._around.flow.watches if one.feed.live]
            raise DrillRefused(
                f'there is no camera "{camera[:64]}"; there are: {", ".join(names) or "none"}'
            )
        self._refuse_untimely(watch)
        plan = watch.feed.plan
        drawn = kind_for(kind or self._rules.kind, plan.scene)
        mark = DrillMark(secrets.token_hex(8), secrets.token_hex(16), drawn)
        order = Order(
            mark=mark,
            seed=int(mark.drill_id, 16) % 2**31,
            scene=plan.scene,
            limits=limits_of(
                clip_seconds=plan.clips.seconds,
                stride_seconds=plan.clips.stride_seconds,
                open_within=plan.events.open_within,
                p95_seconds=self._p95_seconds(),
                margin_seconds=self._rules.margin_seconds,
            ),
            by=by,
        )
        ticket = self._ticket = Ticket(watch.camera, order)
        self._orders.put_nowait(ticket)
        return ticket

    def standing(self, camera: str) -> Standing:
        """Say how a camera stands."""
        return standing_of(
            self._latest.get(camera),
            passed_seconds=self._passed.get(camera),
            known_seconds=self._known.get(camera),
            now_seconds=self._around.clock.wall_seconds(),
            remind_after_days=self._rules.remind_after_days,
        )

    @property
    def running(self) -> CameraName | None:
        """The camera that is being drilled."""
        return self._ticket.camera if self._ticket else None

    @property
    def leaks(self) -> int:
        """Messages of drills that were stopped on their way out, since the start."""
        return self._around.leaks()

    def figures(self) -> Mapping[str, object]:
        """Return what the stats topic tells of drills."""
        live = [one.camera for one in self._around.flow.watches if one.feed.live]
        standings = {camera: self.standing(camera) for camera in live}
        snapshot = self._stats.snapshot(self._around.clock.monotonic_seconds())
        judged = snapshot.clips_judged + snapshot.drill_clips
        return {
            "running": self.running,
            "clips": snapshot.drill_clips,
            "share": round(snapshot.drill_clips / max(1, judged), 6),
            "leaks": self.leaks,
            "failed": [camera for camera, one in standings.items() if one.failed],
            "overdue": [camera for camera, one in standings.items() if one.overdue],
        }

    def acknowledged(self, topic: str, payload: bytes) -> None:
        """Take note that the broker has a message of the outbox."""
        if self._rehearsal is not None and is_drill_payload(payload):
            self._rehearsal.acknowledged(payload)

    # -- running -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry drills out, one after the other, until cancelled."""
        while True:
            ticket = await self._next()
            if ticket is None:
                self._schedule()
                continue
            try:
                await self._carry_out(ticket)
            except Exception:  # no fault of a drill's may end the watching of real cameras
                log.exception("drill broke", camera=ticket.camera)
            finally:
                ticket.told.put_nowait(None)
                self._ticket = self._rehearsal = None

    async def _next(self) -> Ticket | None:
        try:
            async with asyncio.timeout(TIMETABLE_SECONDS):
                return await self._orders.get()
        except TimeoutError:
            return None

    async def _carry_out(self, ticket: Ticket) -> None:
        watch = self._around.flow.watch(ticket.camera)
        if watch is None:
            return
        self._rehearsal = Rehearsal(
            ticket.order,
            self._around,
            watch,
            lambda stage, seconds: ticket.told.put_nowait(Stage(stage, seconds)),
        )
        result = await self._rehearsal.run()
        _say(result)
        if result.outcome != "broken_off":
            await self._keep(result)
        ticket.told.put_nowait(result)

    async def _keep(self, result: DrillResult) -> None:
        self._latest[result.camera] = result
        if result.passed:
            self._passed[result.camera] = result.started_seconds
        self._publish(result)
        try:
            notices = () if result.passed else self._notices.drill_failed(result)
            await self._books.save_drill(result, notices)
        except StoreError as error:
            log.error("drill not kept", camera=result.camera, reason=str(error))

    def _publish(self, result: DrillResult) -> None:
        next_local = self._rules.timetable.next(self._local_now(), _local(result))
        payload = result_payload(result, next_local.timestamp() if next_local else None)
        self._speaker.retain(self._topics.drill_result(result.camera), encode(payload))

    def _schedule(self) -> None:
        """Order the drill of the first camera that is due."""
        now = self._local_now()
        for watch in self._around.flow.watches:
            last = self._latest.get(watch.camera)
            due = watch.feed.live and self._rules.timetable.is_due(
                now, _local(last) if last else None
            )
            if not due:
                continue
            try:
                self.order(watch.camera, by="schedule")
            except DrillRefused as refusal:
                log.info("scheduled drill put off", camera=watch.camera, reason=str(refusal))
            else:
                return

    def _refuse_untimely(self, watch: Watch) -> None:
        camera = watch.camera
        if self._ticket is not None:
            most_seconds = self._ticket.order.limits.total
            raise DrillRefused(
                f"a drill of {self._ticket.camera} is under way, and there is one at a time: try "
                f"again in {most_seconds:.0f} s at the latest"
            )
        if (off := watch.off_reason(self._local_now())) is not None:
            why = "is switched off" if off == "disabled" else "is outside its schedule"
            raise DrillRefused(f"{camera} {why}: nobody watches it now")
        if (event := watch.policy.open_event) is not None:
            raise DrillRefused(
                f"a real event is open on {camera} ({event.event_id}): drill when it has ended"
            )
        if self._around.flow.watch(shadow_of(camera)) is not None:
            raise DrillRefused(
                f"clips of the last drill of {camera} are still with the engine: try again later"
            )

    def _p95_seconds(self) -> float:
        snapshot = self._stats.snapshot(self._around.clock.monotonic_seconds())
        p95_ms = snapshot.latency_ms.get("p95")
        return UNKNOWN_P95_SECONDS if p95_ms is None else p95_ms / 1000.0


def _local(result: DrillResult) -> datetime:
    return datetime.fromtimestamp(result.started_seconds)


def _say(result: DrillResult) -> None:
    say = {"passed": log.info, "broken_off": log.warning, "failed": log.error}[result.outcome]
    say(
        {"passed": "drill passed", "broken_off": "drill broken off", "failed": "drill failed"}[
            result.outcome
        ],
        camera=result.camera,
        drill_id=result.drill_id,
        kind=result.kind,
        link=result.link,
        reason=result.sentence or None,
        cure=result.cure or None,
        seconds=round(result.took_seconds, 2),
        score=result.score,
        threshold=result.threshold,
        clips=result.clips,
    )
