"""`edgewatch why`, `tune` and `feedback` beside a real daemon, and after it."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import CameraName, Event
from tests.integration.mosquitto import Mosquitto, Subscriber
from tests.integration.processes import (
    THRESHOLD,
    daemon,
    file_camera,
    finished,
    footage,
    write_settings,
)

pytestmark = pytest.mark.integration

EVENTS = "edgewatch/front/events"
FRONT = CameraName("front")


@pytest.fixture
def settings(tmp_path: Path, broker: Mosquitto) -> Path:
    cameras = [file_camera("front", footage(tmp_path / "bursts.mp4"))]
    return write_settings(tmp_path, broker_port=broker.port, cameras=cameras)


def events_in(settings: Path) -> list[Event]:
    with Store.open_readonly(settings.parent / "data" / "edgewatch.db") as records:
        return records.events(FRONT)


async def until_ended(heard: Subscriber) -> str:
    """Wait for the first event's end, and return its id."""

    def ended() -> list[str]:
        steps = [json.loads(payload) for payload in heard.payloads(EVENTS)]
        return [step["event_id"] for step in steps if step["type"] == "end"]

    await heard.until(lambda: bool(ended()))
    return ended()[0]


async def test_an_event_is_explained_answered_and_counted(
    settings: Path, heard: Subscriber
) -> None:
    config = ("--config", settings)
    async with daemon(settings) as running:
        event_id = await until_ended(heard)
        said = await finished("feedback", event_id[:30], "true", "--note", "seen", *config)
        assert (said.code, said.out) == (0, f"{event_id} of front: rightly an event")
        listed = (await finished("events", "--json", *config)).document
        (event,) = [one for one in listed if one["event_id"] == event_id]
        assert event["feedback"] == {"correct": True, "note": "seen", "given_by": "cli"}
        why = await finished("why", "--camera=front", "--at", event["start"], "--json", *config)
        assert why.document["kind"] == "alert"
        assert why.document["event_id"] == event_id
        assert why.document["rules"]["on_record"]
        assert why.document["rules"]["open_after"] == 1
        tune = await finished("tune", "--camera=front", "--json", *config)
        assert tune.document["threshold_now"] == THRESHOLD
        assert tune.document["confirmed"] == 1
        (now,) = [one for one in tune.document["thresholds"] if one["threshold"] == THRESHOLD]
        assert (now["hits"], now["missed"]) == (1, 0)
        assert await running.stop() == 0
    known = len(events_in(settings))
    tune = await finished("tune", "--camera=front", "--json", *config)
    (now,) = [one for one in tune.document["thresholds"] if one["threshold"] == THRESHOLD]
    assert now["events"] == pytest.approx(known, abs=1)
    assert (await finished("feedback", event_id, "false", *config)).code == 0
    with Store.open_readonly(settings.parent / "data" / "edgewatch.db") as records:
        kept = records.feedback(event_id)
    assert kept is not None
    assert not kept.correct
    gone = await finished("why", "--camera=front", "--at=-1s", *config)
    assert gone.code == 0


async def test_the_socket_refuses_what_is_no_feedback(settings: Path, heard: Subscriber) -> None:
    async with daemon(settings):
        await until_ended(heard)
        connector = aiohttp.UnixConnector(str(settings.parent / "control.sock"))
        async with aiohttp.ClientSession(connector=connector) as session:
            for body, status in (
                ("{", 400),
                ('{"correct": 7}', 400),
                ('{"correct": true}', 404),
                ('{"event_id": "019078f0-0000-7000-8000-000000000001", "correct": true}', 404),
            ):
                async with session.post("http://edgewatch/feedback", data=body) as answer:
                    assert answer.status == status, body
                    assert "error" in await answer.json()
