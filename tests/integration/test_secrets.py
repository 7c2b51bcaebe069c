"""Passwords are nowhere but in their files: every place that they could leak to is searched."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import aiohttp
import pytest

from tests.integration.hostile_server import (
    HostileServer,
    mute,
    noise,
    noise_on_the_line,
    serving,
)
from tests.integration.mosquitto import (
    Subscriber,
    free_port,
    mosquitto,
    password_file,
    subscriber,
)
from tests.integration.processes import Program, edgewatch, finished, write_settings
from tests.integration.rtsp_cameras import RtspCameras, running
from tests.integration.subscriber import STATUS, said, steps_on

pytestmark = pytest.mark.integration

CAMERA_PASSWORD = "p@ss/w:rd#1?ö%20&x"
WRONG_PASSWORD = "wr0ng+s3cret@/"
BROKER_PASSWORD = "br0ker=s3cret/&"
TOKEN = "t0ken-s3cret"
LOGINS = (
    ("admin", CAMERA_PASSWORD),
    ("admin", WRONG_PASSWORD),
    ("edgewatch", BROKER_PASSWORD),
    ("admin", TOKEN),
)
REASONS = {
    "denied": "authentication",
    "lost": "not_found",
    "nobody": "unreachable",
    "web": "unreachable",
    "path": "unreachable",
    "busy": "refused",
    "silent": "timed_out",
}
COMMANDS = ("check", "events --json", "coverage")


@dataclass
class Scene:
    """A daemon whose cameras fail in every way, each with a password, and what it said."""

    folder: Path
    server: RtspCameras
    settings: Path
    quick: Path
    """The same settings without the cameras that let a command wait."""
    program: Program
    heard: Subscriber
    written: dict[str, bytes] = field(default_factory=dict)
    """What was found, by the place where it was."""


def spellings(user: str, secret: str) -> set[bytes]:
    """Return every way in which a password may be written down."""
    texts = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote(secret, safe="").lower(),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
    }
    raw = {text.encode() for text in texts}
    return raw | {b64encode(secret.encode()), b64encode(f"{user}:{secret}".encode())}


def told(written: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """Return the places that tell a secret, and how they spell it."""
    return [
        (place, spelling)
        for place, content in written.items()
        for user, secret in LOGINS
        for spelling in spellings(user, secret)
        if spelling in content
    ]


def camera(name: str, url: str, **keys: Any) -> dict[str, Any]:
    """Return a camera's table; with a user it has a password, by default the right one."""
    password = {"password_file": "camera.password"} if "admin@" in url else {}
    return {"name": name, "url": url, **password, **keys}


def answering(server: RtspCameras, busy: HostileServer) -> list[dict[str, Any]]:
    """Return a camera that works, and those that fail at once."""
    real = f"rtsp://admin@127.0.0.1:{server.port}"
    nobody = f"127.0.0.1:{free_port()}"
    return [
        # Everything is an event: those, too, must not tell.
        camera("front", f"{real}/live", threshold=0.001),
        camera("denied", f"{real}/live", password_file="wrong.password"),
        camera("lost", f"{real}/nothing"),
        camera("busy", f"rtsp://admin@127.0.0.1:{busy.port}/live"),
        camera("nobody", f"rtsp://admin@{nobody}/live"),
        camera("web", f"http://admin@{nobody}/video?token={TOKEN}"),
        camera("path", f"rtsp://{nobody}/user=admin_password={TOKEN}_channel=1"),
    ]


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Run it, at the log's most talkative, for as long as the block lasts."""
    for name, text in (
        ("camera.password", CAMERA_PASSWORD),
        ("wrong.password", WRONG_PASSWORD),
        ("mqtt.password", BROKER_PASSWORD),
    ):
        (folder / name).write_text(text + "\n", "utf-8")
        (folder / name).chmod(0o600)
    users = password_file(folder, "edgewatch", BROKER_PASSWORD)
    odd = {
        "silent": HostileServer(None),
        "mute": HostileServer(mute),
        "noise": HostileServer(noise),
        "line": HostileServer(noise_on_the_line),
        "busy": HostileServer(answers={"DESCRIBE": "503 Service Unavailable"}),
    }
    async with AsyncExitStack() as stack:
        server = stack.enter_context(running(RtspCameras(password=CAMERA_PASSWORD)))
        stack.enter_context(serving(*odd.values()))
        rules = (f"password_file {users}", "allow_anonymous true")
        broker = await stack.enter_async_context(mosquitto(folder, settings=rules))
        heard = await stack.enter_async_context(subscriber(broker.port, "#"))
        quick = answering(server, odd.pop("busy"))
        slow = [
            camera(name, f"rtsp://admin@127.0.0.1:{one.port}/live") for name, one in odd.items()
        ]
        settings, quick_settings = (
            write_settings(
                folder,
                broker_port=broker.port,
                cameras=some,
                sections={"mqtt": {"username": "edgewatch", "password_file": "mqtt.password"}},
            ).rename(folder / name)
            for some, name in ((quick + slow, "all.toml"), (quick, "quick.toml"))
        )
        program = await stack.enter_async_context(
            edgewatch("run", "--config", settings, log_level="debug")
        )
        yield Scene(folder, server, settings, quick_settings, program, heard)


@pytest.mark.timeout(120)  # a second engine is loaded while the daemon watches
async def test_no_password_leaves_its_file(tmp_path: Path, rtsp_available: None) -> None:
    async with scene(tmp_path) as what:
        await what.heard.until(lambda: bool(steps_on(what.heard, "edgewatch/front/events")))
        await asyncio.gather(in_trouble(what), ask(what))
        look_at_processes(what)
        await lose_the_good_camera(what)
        assert await what.program.stop() == 0
        await what.heard.until_message(STATUS, b"offline")
    look_at_what_is_left(what)
    assert told(what.written) == []
    places = " ".join(what.written)
    for place in ("log", "topics", "edgewatch.db", "command line", "control socket", *COMMANDS):
        assert place in places


def test_the_search_finds_each_spelling() -> None:
    for user, secret in LOGINS:
        for spelling in spellings(user, secret):
            assert told({"log": b"opening rtsp://" + spelling + b"@10.0.0.9/"})


async def in_trouble(what: Scene) -> None:
    """Wait until the cameras have failed, each in its own way."""
    for name, reason in REASONS.items():
        await what.heard.until(partial(has_told, what.heard, name, reason), timeout_seconds=30.0)


def has_told(heard: Subscriber, camera: str, reason: str) -> bool:
    """Whether a camera has been so."""
    return any(one.get("reason") == reason for one in said(heard, f"edgewatch/{camera}/health"))


async def ask(what: Scene) -> None:
    """Ask everything that answers: the control socket and the commands."""
    connector = aiohttp.UnixConnector(str(what.folder / "control.sock"))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get("http://edgewatch/status") as answer,
    ):
        what.written["control socket"] = await answer.read()
    ended = await asyncio.gather(
        *(
            finished(
                *command.split(), "--config", what.quick, within_seconds=60.0, log_level="debug"
            )
            for command in COMMANDS
        )
    )
    for command, one in zip(COMMANDS, ended, strict=True):
        assert one.out
        what.written[command] = f"{one.out}\n{one.err}".encode()


def look_at_processes(what: Scene) -> None:
    """Read what `ps` shows of the daemon and all its children, their environment included."""
    for pid in family(what.program.pid):
        for name, place in (("cmdline", "command line"), ("environ", "environment")):
            what.written[f"{place} of {pid}"] = Path(f"/proc/{pid}/{name}").read_bytes()
        for task in Path(f"/proc/{pid}/task").iterdir():
            what.written[f"name of {task}"] = (task / "comm").read_bytes()


def family(pid: int) -> Iterable[int]:
    """Yield a process and its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text("ascii").split():
            yield from family(int(child))


async def lose_the_good_camera(what: Scene) -> None:
    """Break the stream that worked: a camera that dies says more than one that never was."""
    what.server.stop()
    await what.heard.until(
        lambda: said(what.heard, "edgewatch/front/health")[-1]["state"] == "offline"
    )


def look_at_what_is_left(what: Scene) -> None:
    """Collect the log, what was published, and every file that the daemon has written."""
    program = what.program
    what.written["log"] = "\n".join((*program.out, *program.err)).encode()
    what.written["topics"] = b"\n".join(
        topic.encode() + b" " + payload for topic, payload in what.heard.messages
    )
    for file in (what.folder / "data").rglob("*"):
        if file.is_file():
            what.written[str(file)] = file.read_bytes()
