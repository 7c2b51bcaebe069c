"""What is sent of an event beside MQTT."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edgewatch.pipeline.notify.notices import MOST_WORDS, NTFY, WEBHOOK, Notices
from tests.fakes.events import make_event
from tests.mqtt_schemas import validate

EVENT = "019aa7b2-5f00-7000-8000-00000000000a"
BOTH = Notices(ways=(WEBHOOK, NTFY), public_url="https://box.example.org")
NEW = replace(
    make_event(EVENT), thumbnail=f"front/2026-11-21/{EVENT}.jpg", video=f"front/x/{EVENT}.mp4"
)
END = replace(make_event(EVENT, end_seconds=1_030.0, revision=3), description="A car\nburns.")


def payloads(notices: Notices, *steps: Any) -> list[tuple[str, dict[str, Any]]]:
    messages = [message for step in steps for message in notices.messages(step)]
    assert all((one.camera, one.topic) == ("front", "") for one in messages)
    return [(one.channel, json.loads(one.payload)) for one in messages]


def test_without_a_way_nothing_is_sent() -> None:
    assert Notices().messages(NEW) == ()


def test_a_webhook_gets_each_step_as_on_mqtt_with_links() -> None:
    update = replace(NEW, type="update", revision=2)
    sent = payloads(replace(BOTH, ways=(WEBHOOK,)), NEW, update, END)
    assert [payload["type"] for _, payload in sent] == ["new", "update", "end"]
    for _, payload in sent:
        validate("event", {key: value for key, value in payload.items() if key != "links"})
    assert sent[0][1]["links"] == {
        "event": f"https://box.example.org/events/{EVENT}",
        "thumbnail": f"https://box.example.org/evidence/{EVENT}.jpg",
        "video": f"https://box.example.org/evidence/{EVENT}.mp4",
    }
    assert sent[2][1]["links"]["thumbnail"] is None, "there is none"


def test_without_a_public_address_there_are_no_links() -> None:
    ((_, payload),) = payloads(Notices(ways=(WEBHOOK,)), NEW)
    assert set(payload["links"].values()) == {None}


def test_only_the_new_is_pushed_and_the_end_if_it_is_wanted() -> None:
    update = replace(NEW, type="update", revision=2)
    push = replace(BOTH, ways=(NTFY,))
    assert [one["type"] for _, one in payloads(push, NEW, update, END)] == ["new"]
    push = replace(push, push_end=True)
    assert [one["type"] for _, one in payloads(push, NEW, update, END)] == ["new", "end"]


def test_a_push_message_names_camera_score_and_words() -> None:
    (_, new), (_, end) = payloads(replace(BOTH, ways=(NTFY,), push_end=True), NEW, END)
    assert new["title"] == "front: anomaly"
    assert new["message"].startswith("score 0.90 (threshold 0.50), since ")
    assert new["click"] == f"https://box.example.org/events/{EVENT}"
    assert new["tags"] == ["rotating_light", "front"]
    assert new["thumbnail"] == f"front/2026-11-21/{EVENT}.jpg"
    assert end["message"].splitlines()[0] == "A car burns."
    assert new["priority"] > end["priority"]


@pytest.mark.parametrize("words", ["x" * 9000, "half a pair \udcff", "\x00\x1b[31m"])
def test_whatever_a_model_says_can_be_sent(words: str) -> None:
    event = replace(END, description=words)
    for _, payload in payloads(replace(BOTH, push_end=True), event):
        if "message" in payload:
            assert len(payload["message"]) < MOST_WORDS + 200
