"""Settings to a pipeline: store, engine, publisher and flow, opened in order, closed in reverse."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.announce import Announcer
from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.commands import Commands
from edgewatch.pipeline.coverage import LATENCY_ALLOWED_MS
from edgewatch.pipeline.decode import CameraThread as DecodingThread
from edgewatch.pipeline.drill.drills import Drills
from edgewatch.pipeline.drill.leak import LeakGuard
from edgewatch.pipeline.drill.setup import drills_of
from edgewatch.pipeline.engines import Engine
from edgewatch.pipeline.events import NewId
from edgewatch.pipeline.evidence.keeper import EvidenceKeeper
from edgewatch.pipeline.flow import Flow
from edgewatch.pipeline.ids import uuid7
from edgewatch.pipeline.judging import Judge
from edgewatch.pipeline.kept_settings import KeptSettings
from edgewatch.pipeline.ledger import Ledger
from edgewatch.pipeline.leftovers import Leftovers
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.mqtt import Publisher
from edgewatch.pipeline.mqtt_link import BrokerAddress, TlsFiles
from edgewatch.pipeline.mqtt_setup import home_assistant, reminder, wanted_version
from edgewatch.pipeline.notify.drain import WayDrain
from edgewatch.pipeline.notify.setup import drains_of, notices_of
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.store_thread import StoreThread
from edgewatch.pipeline.types import Clip
from edgewatch.pipeline.watch import CameraThread, Feed, Observer, OpenCamera, Reports

EVIDENCE_STOP_SECONDS = 1.5
"""What videos get to be finished in when the service stops."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A flow with all it needs, ready to run."""

    settings: Settings
    store: StoreThread
    judge: Judge
    stats: Stats
    chronicle: Chronicle
    announcer: Announcer
    """For the live topics."""
    publisher: Publisher | None
    commands: Commands
    """What an operator may change, over MQTT and on the page."""
    flow: Flow
    kept: KeptSettings | None = None
    """What operators set, for the next run; None where nothing is watched live."""
    leftovers: Leftovers | None = None
    """What the broker keeps for us, remembered for the next run; None if nothing is published."""
    notify: tuple[WayDrain, ...] = ()
    """The ways beside MQTT that alerts go, each with a channel of the outbox."""
    evidence: EvidenceKeeper | None = None
    """Keeps evidence of live cameras' events; None where nothing is published live."""
    drills: Drills | None = None
    """Rehearses the alarm of live cameras; None where nothing is published live."""

    def observers_of(self, plan: CameraPlan) -> tuple[Observer, ...]:
        """Return who must be told of what happens to a live camera."""
        return (self.evidence.observer(plan),) if self.evidence else ()

    async def run(self) -> None:
        """Run the flow to its end with the publisher beside it, then empty the outbox.

        The outbox gets half of `service.drain_seconds`; what is left goes out at the next start.
        """
        async with asyncio.TaskGroup() as tasks:
            helping = {
                "commands": self.commands,
                "kept settings": self.kept,
                "leftovers": self.leftovers,
                "drills": self.drills,
            }
            helpers = [
                tasks.create_task(helper.run(), name=name)
                for name, helper in helping.items()
                if helper is not None
            ]
            if self.publisher:
                tasks.create_task(self.publisher.run(), name="publish")
            if self.evidence:
                tasks.create_task(self.evidence.run(), name="evidence")
            for drain in self.notify:
                tasks.create_task(drain.run(), name="notify")
            await self.flow.run()
            if self.evidence:
                # Beside the rest: a disk that hangs must hold up no alert
                tasks.create_task(self.evidence.stop(EVIDENCE_STOP_SECONDS), name="last evidence")
            for drain in self.notify:
                drain.stop(self.settings.service.drain_seconds / 2)
            if self.publisher:
                await self.publisher.stop(self.settings.service.drain_seconds / 2)
            for helper in helpers:
                helper.cancel()
        if self.kept:
            await self.kept.save()
        if self.leftovers:
            await self.leftovers.save()


@asynccontextmanager
async def assembled(
    settings: Settings,
    engine: Engine,
    *,
    clock: Clock,
    store_path: Path | None,
    publish: Literal["live", "replay"] | None,
    new_id: NewId = uuid7,
    open_camera: OpenCamera | None = None,
    store: StoreThread | None = None,
) -> AsyncIterator[Pipeline]:
    """Open everything a flow needs; on leaving, close it in reverse.

    `store_path`: None keeps the books in memory. `publish`: on which topics, None on none. A
    pipeline that does not publish live ends by itself when its feeds are through. `store`: one
    that is not started, in place of one at `store_path`.
    Raises StoreError, EngineFailed.
    """
    stats = Stats()
    async with AsyncExitStack() as stack:
        store = store or StoreThread(store_path)
        await store.start()
        stack.push_async_callback(store.close)
        commands = Commands(clock, store)
        topics = Topics(settings.mqtt.base_topic)
        guard = LeakGuard(topics.base)
        replay_topics = Topics(settings.mqtt.base_topic, replay=True)
        publisher, leftovers = None, None
        home = home_assistant(settings) if publish == "live" else None
        if publish:
            publisher = Publisher(
                broker_address(settings),
                topics if publish == "live" else replay_topics,
                client_id=f"edgewatch-{settings.service.id}-{publish}",
                outbox=store,
                on_command=commands.take,
                on_bad_command=commands.refuse,
                reminder=reminder(home),
                version=wanted_version(settings),
                guard=guard,
                clock=clock,
            )
        announcer = Announcer(
            publisher if publish == "live" else None,
            topics,
            clock,
            home=home,
            thumbnails=settings.mqtt.thumbnails,
            notices=notices_of(settings),
        )
        if publisher and publish == "live":
            leftovers = Leftovers(publisher.board, store, always=(topics.status,))
            cameras = [announcer.retained_of(plan.name) for plan in settings.plans()]
            await leftovers.take_down({topics.stats, *chain(*cameras)}, topics)
        chronicle = Chronicle(
            books=store,
            ledger=_ledger(settings),
            stats=stats,
            live=announcer,
            replay=Announcer(publisher, replay_topics, clock),
            drill=Announcer(
                publisher if publish == "live" else None, Topics(topics.base, drill=True), clock
            ),
            guard=guard,
            clock=clock,
        )
        evidence = None
        if publish == "live":
            chronicle.kept = KeptSettings(store, clock)
            await chronicle.kept.load(settings.plans())
            evidence = EvidenceKeeper(
                settings,
                books=store,
                engine=engine,
                clock=clock,
                on_thumbnail=lambda camera, _, jpeg: announcer.thumbnail(camera, jpeg),
            )
            stack.push_async_callback(evidence.close)
            await evidence.open()
            chronicle.evidence = evidence
        await chronicle.end_interrupted()
        judge = Judge(
            engine,
            stats=stats,
            clock=clock,
            judge_timeout_seconds=max(60.0, 2 * settings.engine.request_seconds),
        )
        stack.push_async_callback(judge.close)
        await judge.start()
        flow = Flow(
            judge=judge,
            chronicle=chronicle,
            open_camera=open_camera or partial(_open_camera, clock, evidence),
            clock=clock,
            words=settings.engine.explain_tokens > 0,
            idle_ends=publish != "live",
            new_id=new_id,
        )
        commands.serve(flow, chronicle)
        drills = None
        if publisher and publish == "live":
            drills = drills_of(
                settings,
                broker_address(settings),
                flow=flow,
                judge=judge,
                stats=stats,
                store=store,
                publisher=publisher,
                guard=guard,
                clock=clock,
            )
            await drills.load(plan.name for plan in settings.plans())
        yield Pipeline(
            settings,
            store,
            judge,
            stats,
            chronicle,
            announcer,
            publisher,
            commands,
            flow,
            kept=chronicle.kept,
            leftovers=leftovers,
            notify=await drains_of(settings, store, clock) if publish == "live" else (),
            evidence=evidence,
            drills=drills,
        )


def broker_address(settings: Settings) -> BrokerAddress:
    """Return where to connect: the broker that is set, else the embedded one."""
    mqtt = settings.mqtt
    tls = TlsFiles(mqtt.ca_file, mqtt.cert_file, mqtt.key_file) if mqtt.tls else None
    return BrokerAddress(
        host=mqtt.host or "127.0.0.1",
        port=mqtt.effective_port,
        username=mqtt.username,
        password=settings.mqtt_password,
        tls=tls,
    )


def _ledger(settings: Settings) -> Ledger:
    longest_seconds = max(
        [settings.clips.seconds, *(plan.clips.seconds for plan in settings.plans())]
    )
    return Ledger(
        settle_ms=round(longest_seconds * 1000) + LATENCY_ALLOWED_MS,
        window_ms=round(longest_seconds * 1000),
    )


def _open_camera(
    clock: Clock,
    evidence: EvidenceKeeper | None,
    feed: Feed,
    first_index: int,
    outlet: Mailbox[Clip],
    reports: Reports,
) -> CameraThread:
    """Make the decoding thread of a feed."""
    plan = feed.plan
    return DecodingThread(
        feed.camera,
        feed.source,
        fps=plan.clips.fps,
        seconds=plan.clips.seconds,
        stride_seconds=plan.clips.stride_seconds,
        pixels=plan.clips.pixels,
        speed=feed.speed,
        loop=plan.loop,
        replay=not feed.live,
        first_index=first_index,
        reading=Reading.of(plan),
        preroll=evidence.ring(plan) if evidence and feed.live else None,
        outlet=outlet,
        on_health=reports.on_health,
        on_info=reports.on_info,
        on_end=reports.on_end,
        on_unjudged=reports.on_unjudged,
        on_pair=reports.on_pair,
        clock=clock,
        random=random.random,
    )
