"""The daemon with its engine on a server: over real HTTP to MQTT, with trouble in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgewatch.pipeline.records import open_readonly
from edgewatch.pipeline.types import CameraName
from tests.fakes.openai_server import Fault, OpenAiServer, serving
from tests.fakes.videos import write_video
from tests.integration.mosquitto import Subscriber, free_port, subscriber
from tests.integration.processes import Program, daemon, finished, write_settings
from tests.integration.subscriber import assert_well_told, said, schemas_met, steps_on

pytestmark = pytest.mark.integration

TOKEN = "t0ken+s3cret/of=the-engine"
CAMERAS = ("front", "back")
FPS = 8
TROUBLES = (
    Fault("reset"),
    Fault("status", status=503),
    Fault("garbage"),
    Fault("cut"),
    Fault("status", status=429, headers=(("Retry-After", "1"),)),
    Fault("no_logprobs"),
    Fault("other_tokens"),
    Fault("huge"),
    Fault("status", status=500),
)


class Scene:
    """Draws a red square in every other 3 s, and marks that make each picture unique."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
        picture = np.empty((height, width, 3), np.uint8)
        picture[:] = (40, 90, 150)
        if index // (3 * FPS) % 2:
            left = 10 + index * 3 % (width - 60)
            picture[30:70, left : left + 40] = (230, 60, 20)
        for bit in range(12):
            shade = 220 if (index * 2 + self._number) >> bit & 1 else 20
            picture[height - 12 :, bit * 13 : bit * 13 + 12] = shade
        return picture


def write_scenes(folder: Path) -> list[dict[str, Any]]:
    """Write a video for each camera, longer than any test runs; return the cameras' tables."""
    cameras = []
    for number, name in enumerate(CAMERAS):
        video = folder / f"{name}.mp4"
        write_video(
            video,
            width=160,
            height=120,
            fps=FPS,
            frames=120 * FPS,
            draw=Scene(number),
            created=None,
            codec_options={"preset": "ultrafast"},
        )
        cameras.append({"name": name, "url": str(video), "loop": True})
    return cameras


@pytest.fixture
async def server() -> AsyncIterator[OpenAiServer]:
    one = OpenAiServer(token=TOKEN)
    async with serving(one):
        yield one


def settings_for(folder: Path, server: OpenAiServer, port: int) -> Path:
    """Write settings without a broker: the daemon brings its own."""
    token_file = folder / "engine.token"
    token_file.write_text(TOKEN + "\n")
    token_file.chmod(0o600)
    engine = {
        "kind": "remote",
        "url": server.url,
        "token_file": "engine.token",
        "threshold": 0.5,
        "max_batch": 4,
        "request_seconds": 5.0,
    }
    return write_settings(
        folder,
        broker_port=None,
        cameras=write_scenes(folder),
        sections={"engine": engine, "mqtt": {"port": port}},
    )


def verdicts(heard: Subscriber) -> list[dict[str, Any]]:
    return [one for name in CAMERAS for one in said(heard, f"edgewatch/{name}/verdict")]


async def until_judged(heard: Subscriber, *, clips: int = 4) -> None:
    """Wait until each camera has had so many more verdicts."""
    wanted = {name: len(heard.payloads(f"edgewatch/{name}/verdict")) + clips for name in CAMERAS}
    await heard.until(
        lambda: all(
            len(heard.payloads(f"edgewatch/{name}/verdict")) >= count
            for name, count in wanted.items()
        ),
        timeout_seconds=30.0,
    )


@pytest.mark.timeout(150)
async def test_daemon_with_a_server_survives_its_faults_and_its_death(
    tmp_path: Path, server: OpenAiServer
) -> None:
    port = free_port()
    settings = settings_for(tmp_path, server, port)
    async with daemon(settings, log_level="debug") as program, subscriber(port, "#") as heard:
        await until_described(heard, server)
        await trouble(heard, server)
        await too_busy(program, heard, server)
        await death_and_return(program, heard, server)
        command_line = program.command_line()
        assert await program.stop() == 0
    engines = {verdict["engine"] for verdict in verdicts(heard)}
    assert len(engines) == 1
    assert engines.pop().startswith("remote:cosmos@")
    assert_well_told(heard, all_ended=False)
    schemas_met(heard)
    look_at_the_books(tmp_path, heard, server)
    assert told_places(tmp_path, program, heard, command_line) == []


async def until_described(heard: Subscriber, server: OpenAiServer) -> None:
    """Wait until a red square was an event, and its words have come as an update."""
    await heard.until(
        lambda: any(
            step["description"] == server.words
            for step in steps_on(heard, "edgewatch/front/events")
        ),
        timeout_seconds=40.0,
    )
    labels = {(one["label"], round(one["score"], 2)) for one in verdicts(heard)}
    assert labels == {("Normal", 0.1), ("Anomaly", 0.9)}


async def trouble(heard: Subscriber, server: OpenAiServer) -> None:
    """Let requests go wrong in every way, with verdicts in between."""
    for fault in TROUBLES:
        server.faults.append(fault)
        await server.until(lambda: not server.faults)
        await until_judged(heard, clips=1)


async def too_busy(program: Program, heard: Subscriber, server: OpenAiServer) -> None:
    """Let the server refuse everything for want of room, until clips were given up for it."""
    server.always = Fault("status", status=429, headers=(("Retry-After", "1"),))
    dropped = len(program.logged("clip dropped", reason="overload"))
    await program.until(
        lambda: len(program.logged("clip dropped", reason="overload")) >= dropped + 8
    )
    server.always = None
    await until_judged(heard, clips=1)


async def death_and_return(program: Program, heard: Subscriber, server: OpenAiServer) -> None:
    """Kill the server for some seconds, and start it again on the same port."""
    ready = len(program.logged("engine state", state="ready"))
    await server.kill()
    down = await program.until_logged("engine state", state="down")
    assert "no server can be asked" in down["detail"]
    failures = len(program.logged("engine failed"))
    await program.until(lambda: len(program.logged("engine failed")) >= failures + 2)
    assert len(program.logged("engine state", state="ready")) == ready
    await server.start()
    await program.until(lambda: len(program.logged("engine state", state="ready")) > ready)
    await until_judged(heard)


def look_at_the_books(folder: Path, heard: Subscriber, server: OpenAiServer) -> None:
    """No clip was judged twice, and every second that was not judged says why."""
    with open_readonly(folder / "data" / "edgewatch.db") as records:
        stored = [
            verdict
            for name in CAMERAS
            for verdict in records.verdicts(CameraName(name), 0.0, float(1 << 40))
        ]
        coverage = {
            interval.coverage
            for name in CAMERAS
            for interval in records.coverage(CameraName(name), 0, 1 << 53)
        }
    ids = [verdict.clip_id for verdict in stored]
    assert len(ids) == len(set(ids))
    assert {one["clip_id"] for one in verdicts(heard)} <= set(ids)
    # Each was told by the server exactly once, and none that was told was lost.
    assert set(server.verdicts.values()) == {1}
    assert server.verdicts.total() == len(stored)
    assert all(len(verdict.prompt_hash) == 12 for verdict in stored)
    assert {"judged", "engine_down", "overload"} <= coverage
    # A looping recording may end in fewer frames than a clip has
    assert coverage <= {
        *("judged", "engine_down", "overload", "too_short", "connecting", "not_running")
    }


def told_places(
    folder: Path, program: Program, heard: Subscriber, command_line: bytes
) -> list[str]:
    """Return every place but its own file that holds the token."""
    written = {
        "log": "\n".join((*program.out, *program.err)).encode(),
        "command line": command_line,
        "topics": b"\n".join(topic.encode() + payload for topic, payload in heard.messages),
        **{str(file): file.read_bytes() for file in (folder / "data").rglob("*") if file.is_file()},
    }
    assert any("edgewatch.db" in place for place in written)
    return [place for place, content in written.items() if TOKEN.encode() in content]


@pytest.mark.parametrize(
    ("token", "cure"), [("wrong", "refused the token: check [engine] token_file"), (TOKEN, "")]
)
async def test_daemon_that_cannot_start_its_engine_says_why_and_ends_with_75(
    tmp_path: Path, server: OpenAiServer, token: str, cure: str
) -> None:
    settings = settings_for(tmp_path, server, free_port())
    (tmp_path / "engine.token").write_text(token)
    if not cure:
        server.always = Fault("no_logprobs")
        cure = "start vLLM with --max-logprobs 20"
    done = await finished("run", "--config", settings)
    assert done.code == 75
    assert cure in done.out + done.err
    assert token not in done.out + done.err
