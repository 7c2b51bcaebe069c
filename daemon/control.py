"""The control socket: a running daemon asked, over HTTP on a Unix socket, by its own commands."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgewatch.config.drill import DrillKind
from edgewatch.daemon.reports import Reports
from edgewatch.pipeline.clock import Clock, SystemClock
from edgewatch.pipeline.drill.drills import Stage
from edgewatch.pipeline.drill.result import encode_result
from edgewatch.pipeline.errors import DrillRefused, StoreError
from edgewatch.pipeline.feedback_command import feedback_command
from edgewatch.pipeline.playlist import Playlist, recording_feed
from edgewatch.pipeline.recorder import RECORDED, Recorded, Recorder
from edgewatch.pipeline.types import CameraName, Feedback
from edgewatch.pipeline.watch import Feed
from edgewatch.pipeline.wiring import Pipeline

log = structlog.get_logger(__name__)

PARALLEL_RECORDINGS = 2


class ReplayRequest(BaseModel):
    """Recordings to judge with the engine that is loaded already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recordings: tuple[tuple[str, Path], ...]
    """(name, absolute path), the path as the daemon sees it."""
    camera: str | None = None
    """Judge them as this configured camera would be."""
    speed: float | None = Field(default=None, gt=0)


class DrillRequest(BaseModel):
    """A fire drill of one camera."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    camera: str
    kind: DrillKind | None = None
    """None: as the settings say."""


class ControlSocket:
    """Serves what commands ask for on a socket of mode 0660.

    `GET /status`, `POST /replay`, `POST /feedback`, `POST /drill`.
    """

    def __init__(
        self, path: Path, pipeline: Pipeline, reports: Reports, clock: Clock | None = None
    ) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._pipeline = pipeline
        self._reports = reports

    async def run(self) -> None:
        """Serve until cancelled. A socket that cannot be made is said and not fatal."""
        application = web.Application()
        application.router.add_get("/status", self._status)
        application.router.add_post("/replay", self._replay)
        application.router.add_post("/feedback", self._feedback)
        application.router.add_post("/drill", self._drill)
        # A client that went away wants no answer: its recordings are not judged to their end.
        runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=0.5, handler_cancellation=True
        )
        await runner.setup()
        try:
            await self._listen(runner)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()
            with suppress(OSError):
                self._path.unlink()

    async def _listen(self, runner: web.AppRunner) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and stat.S_ISSOCK(self._path.stat().st_mode):
                self._path.unlink()  # left by a process that died: the data lock says we are alone
            await web.UnixSite(runner, str(self._path)).start()
            os.chmod(self._path, 0o660)
        except OSError as error:
            log.warning(
                "no control socket",
                path=str(self._path),
                reason=error.strerror or str(error),
                cure="set service.control_socket to a place this user may write to",
            )

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response(dict(await self._reports.figures()))

    async def _feedback(self, request: web.Request) -> web.Response:
        """Keep what is said of an event: 204, else 400, 404 or 503 with the error."""
        try:
            said = feedback_command(await request.read())
            event = await self._pipeline.store.event(said.event_id or "")
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        except StoreError as error:
            return web.json_response({"error": str(error)}, status=503)
        if event is None or event.drill:
            return web.json_response({"error": "there is no such event"}, status=404)
        trouble = await self._pipeline.commands.feedback(
            Feedback(
                event.event_id,
                event.camera,
                said.correct,
                said.note,
                "cli",
                self._clock.wall_seconds(),
            )
        )
        if trouble is not None:
            return web.json_response({"error": trouble}, status=503)
        return web.Response(status=204)

    async def _drill(self, request: web.Request) -> web.StreamResponse:
        """Drill a camera; one JSON line a stage as it is reached, and one of the result.

        First comes a line of what was begun: drill's id and limits. 409 if it may not begin.
        """
        drills = self._pipeline.drills
        try:
            asked = DrillRequest.model_validate_json(await request.text())
            if drills is None:
                raise DrillRefused("this service publishes nothing: there is no alarm to rehearse")
            ticket = drills.order(asked.camera, asked.kind)
        except (ValidationError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        except DrillRefused as refusal:
            return web.json_response({"error": str(refusal)}, status=409)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        mark, limits = ticket.order.mark, ticket.order.limits
        begun = {"drill_id": mark.drill_id, "kind": mark.kind, "terms": limits.terms}
        await response.write(_line({"begun": begun}))
        async for update in ticket.updates():
            if isinstance(update, Stage):
                line = {"stage": update.name, "seconds": round(update.seconds, 3)}
            else:
                line = {"result": encode_result(update)}
            await response.write(_line(line))
        await response.write_eof()
        return response

    async def _replay(self, request: web.Request) -> web.StreamResponse:
        """Judge recordings beside the live cameras; one JSON line a recording, as it ends."""
        try:
            asked = ReplayRequest.model_validate_json(await request.text())
            feeds = self._feeds(asked)
        except (ValidationError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async for recorded in self._judge(feeds):
            await response.write(RECORDED.dump_json(recorded) + b"\n")
        await response.write_eof()
        return response

    def _feeds(self, asked: ReplayRequest) -> list[Feed]:
        settings = self._pipeline.settings
        plan = settings.plan_for(asked.camera)
        taken = {watch.camera for watch in self._pipeline.flow.watches}
        for name, _ in asked.recordings:
            if name in taken:
                raise ValueError(f"{name}: a camera of this name is being watched; rename the file")
        return [
            recording_feed(plan, path, CameraName(name), asked.speed)
            for name, path in asked.recordings
        ]

    async def _judge(self, feeds: list[Feed]) -> AsyncIterator[Recorded]:
        done: asyncio.Queue[Recorded] = asyncio.Queue()
        playlist = Playlist(
            self._pipeline.flow,
            feeds,
            parallel=PARALLEL_RECORDINGS,
            observers=[Recorder(done.put_nowait)],
        )
        playlist.start()
        try:
            for _ in feeds:
                yield await done.get()
        finally:
            playlist.cancel()


def _line(told: Mapping[str, object]) -> bytes:
    return json.dumps(told).encode() + b"\n"
