"""The service: a pipeline with live cameras, from start to a bounded stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

import edgewatch
from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import Settings
from edgewatch.daemon.control import ControlSocket
from edgewatch.daemon.lock import DataLock
from edgewatch.daemon.notify import Notifier
from edgewatch.daemon.reports import Reports
from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.health import STUCK_SECONDS
from edgewatch.daemon.web.live import Live
from edgewatch.daemon.web.server import WebServer, application, kept_going
from edgewatch.pipeline.broker import EmbeddedBroker
from edgewatch.pipeline.clock import Clock, SystemClock
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines import create_engine
from edgewatch.pipeline.errors import EdgewatchError
from edgewatch.pipeline.hops import overlaps
from edgewatch.pipeline.settings_log import log_reload, log_start
from edgewatch.pipeline.watch import Feed, live_feed
from edgewatch.pipeline.wiring import Pipeline, assembled, broker_address

log = structlog.get_logger(__name__)

ABANDON_SECONDS = 0.5
"""What a flow gets to end after its hung threads were given up."""
GOODBYE_SECONDS = 1.0
"""What the publisher gets, beyond its share of the drain, to say `offline` and goodbye."""


class Service:
    """Runs until `stop`; every failure of a camera or broker is a state and ends nothing."""

    def __init__(
        self,
        settings: Settings,
        *,
        reload: Callable[[], Settings],
        notifier: Notifier,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._reload_settings = reload
        self._notifier = notifier
        self._clock = clock or SystemClock()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    def stop(self) -> None:
        """Ask for the end; `run` returns within about `service.drain_seconds`."""
        self._stop.set()

    def reload(self) -> None:
        """Ask for cameras and thresholds to be read anew."""
        self._reload.set()

    async def run(self) -> None:
        """Start, watch, stop. Raises StoreError, BrokerUnavailable, EngineFailed on start."""
        settings = self._settings
        log.info("starting", version=edgewatch.__version__, config=str(settings.source or "none"))
        for warning in settings.warnings:
            log.warning("unwise setting", detail=warning)
        async with AsyncExitStack() as stack:
            stack.enter_context(DataLock(settings.service.data_dir))
            if settings.mqtt.embedded:
                broker = EmbeddedBroker(port=settings.mqtt.effective_port)
                await broker.start()
                stack.push_async_callback(broker.stop)
            engine = create_engine(
                engine_setup(settings, baseline_dir=settings.service.data_dir / "baseline")
            )
            pipeline = await stack.enter_async_context(
                assembled(
                    settings,
                    engine,
                    clock=self._clock,
                    store_path=settings.service.data_dir / "edgewatch.db",
                    publish="live",
                )
            )
            await self._watch(pipeline)
        log.info("stopped")

    async def _watch(self, pipeline: Pipeline) -> None:
        """Own every task of the running service."""
        plans, now_seconds = self._settings.plans(), self._clock.wall_seconds()
        await log_start(pipeline.store, plans, now_seconds)
        self._add_cameras(pipeline)
        reports = Reports(pipeline, self._clock)
        control = ControlSocket(self._settings.service.control_socket, pipeline, reports)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(pipeline.run(), name="pipeline")
            helpers = [
                tasks.create_task(control.run(), name="control socket"),
                tasks.create_task(reports.run(), name="reports"),
                tasks.create_task(self._keep_reloading(pipeline), name="reload"),
                tasks.create_task(self._keep_alive(pipeline), name="watchdog"),
                *self._show(tasks, pipeline, reports),
            ]
            self._say_ready(pipeline)
            await self._until_stopped(running)
            await self._drain(pipeline, running)
            for helper in helpers:
                helper.cancel()

    def _show(
        self, tasks: asyncio.TaskGroup, pipeline: Pipeline, reports: Reports
    ) -> list[asyncio.Task[None]]:
        """Start the page, if there is to be one."""
        web = self._settings.web
        if not web.port:
            return []
        context = WebContext(pipeline, reports, self._clock, self._settings)
        live = Live(context)
        server = WebServer(application(context, live), host=web.host, port=web.port)
        return [
            tasks.create_task(kept_going(server.run, "server"), name="web"),
            tasks.create_task(kept_going(live.run, "live"), name="live pages"),
        ]

    def _add_cameras(self, pipeline: Pipeline) -> None:
        for plan in self._settings.plans():
            pipeline.flow.add(live_feed(plan), pipeline.observers_of(plan))
        if not self._settings.cameras:
            log.warning("no cameras", cure="add a [[cameras]] table to the settings, then reload")
        self._say_shared()

    def _say_shared(self) -> None:
        """Say how much of what an engine sees clips share, where it makes a difference."""
        engine = self._settings.engine
        if engine.kind != "native" or not engine.incremental:
            return
        for one in overlaps([(plan.name, plan.clips) for plan in self._settings.plans()]):
            say = log.warning if one.rounding else log.info
            rounded = {"rounded": one.rounding} if one.rounding else {}
            say("clips share frames", cameras=len(one.cameras), detail=one.sentence, **rounded)

    def _say_ready(self, pipeline: Pipeline) -> None:
        count = len(pipeline.flow.watches)
        self._notifier.ready(f"watching {count} cameras with {pipeline.judge.engine.name}")
        address = broker_address(self._settings)
        log.info(
            "watching",
            cameras=count,
            engine=pipeline.judge.engine.name,
            subscribe=f"mosquitto_sub -h {address.host} -p {address.port} -v "
            f"-t '{self._settings.mqtt.base_topic}/#'",
        )

    async def _until_stopped(self, running: asyncio.Task[None]) -> None:
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()

    async def _drain(self, pipeline: Pipeline, running: asyncio.Task[None]) -> None:
        """End the streams, and give what was accepted a bounded time to get out."""
        log.info("stopping", drain_seconds=self._settings.service.drain_seconds)
        self._notifier.stopping()
        pipeline.flow.stop()
        if not await pipeline.flow.ended(self._settings.service.drain_seconds / 2):
            log.warning("cameras or engine did not end in time", cure="they are left behind")
            pipeline.flow.abandon()
            await pipeline.flow.ended(ABANDON_SECONDS)
        # The other half is the outbox's; it is over when the publisher says so.
        limit_seconds = self._settings.service.drain_seconds / 2 + GOODBYE_SECONDS
        await asyncio.wait({running}, timeout=limit_seconds)
        if not running.done():
            log.error("stop took too long", cure="what was not sent goes out at the next start")
            running.cancel()

    async def _keep_alive(self, pipeline: Pipeline) -> None:
        """Tell systemd we live, but only while clips are judged or none waits."""
        interval_seconds = self._notifier.watchdog_seconds
        while interval_seconds:
            await asyncio.sleep(interval_seconds / 3)
            stuck_seconds = pipeline.flow.stuck_seconds
            if stuck_seconds < STUCK_SECONDS:
                self._notifier.alive()
            else:
                log.error("flow stuck", stuck_seconds=round(stuck_seconds))

    async def _keep_reloading(self, pipeline: Pipeline) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._notifier.reloading()
            try:
                await self._apply(pipeline, self._reload_settings())
            except (ConfigError, EdgewatchError) as error:
                log.error(
                    "reload refused", reason=str(error), cure="the old settings stay in force"
                )
            self._notifier.ready(f"watching {len(pipeline.flow.watches)} cameras")

    async def _apply(self, pipeline: Pipeline, settings: Settings) -> None:
        """Make the live cameras those of the new settings."""
        feeds: dict[str, Feed] = {plan.name: live_feed(plan) for plan in settings.plans()}
        gone = [
            watch.camera
            for watch in pipeline.flow.watches
            if watch.feed.live and watch.camera not in feeds
        ]
        for feed in feeds.values():
            known = pipeline.flow.watch(feed.camera)
            if known is None:
                log_reload(pipeline.store, None, feed.plan, self._clock.wall_seconds())
                pipeline.flow.add(feed, pipeline.observers_of(feed.plan))
            elif known.feed != feed:
                before = known.feed.plan
                log_reload(pipeline.store, before, feed.plan, self._clock.wall_seconds())
                pipeline.flow.change(feed)
                if pipeline.evidence:
                    pipeline.evidence.replan(feed.plan)
        # Last, and all at once: a camera that hangs takes until its time-out to be gone.
        await asyncio.gather(*map(pipeline.flow.remove, gone))
        if fixed := _changed_for_good(self._settings, settings):
            log.warning("restart needed", changed_sections=fixed)
        log.info("reloaded", cameras=len(feeds))


def _changed_for_good(old: Settings, new: Settings) -> list[str]:
    """Name the sections whose changes only a restart brings into force."""
    # Taken over with each camera's plan
    per_camera = {"threshold": 0.5, "prompt": None, "scene": "fixed"}
    pairs = {
        "service": (old.service, new.service),
        "mqtt": (old.mqtt, new.mqtt),
        "engine": (
            old.engine.model_copy(update=per_camera),
            new.engine.model_copy(update=per_camera),
        ),
        "evidence": (old.evidence, new.evidence),
        "notify": (old.notify, new.notify),
        "drill": (old.drill, new.drill),
        "web": (old.web, new.web),
    }
    return [name for name, (before, after) in pairs.items() if before != after]
