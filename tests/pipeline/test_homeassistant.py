"""Discovery of Home Assistant: what it takes, and what it will read out of our payloads."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from edgewatch.pipeline.homeassistant import HomeAssistant, node_of
from edgewatch.pipeline.messages import (
    Topics,
    event_payload,
    health_payload,
    iso_to_seconds,
    settings_payload,
    state_payload,
    verdict_payload,
)
from edgewatch.pipeline.types import CameraName, CameraState, Event, Health, HealthState, Verdict
from tests.homeassistant_schema import TOPIC_PATTERN, validate_device

FRONT = CameraName("front")
HOME = HomeAssistant("homeassistant", version="1.2.3", thumbnails=True)
bases = st.from_regex(r"[^+#\0$/][^+#\0/]{0,12}(/[^+#\0/]{1,12}){0,2}", fullmatch=True)
cameras = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)


def components(base: str = "edgewatch") -> dict[str, Any]:
    found: dict[str, Any] = HOME.payload(Topics(base), "front")["cmps"]
    return found


def rendered(template: str, payload: object) -> str:
    """Render a template as Home Assistant does: in Jinja's sandbox, with `value_json`."""
    environment = ImmutableSandboxedEnvironment()
    environment.filters["to_json"] = json.dumps
    value = json.loads(json.dumps(payload))
    return environment.from_string(template).render(value=json.dumps(value), value_json=value)


@given(bases, cameras, st.booleans())
def test_home_assistant_takes_every_announcement(base: str, camera: str, thumbnails: bool) -> None:
    home = HomeAssistant("homeassistant", version="1.2.3", thumbnails=thumbnails)
    topics = Topics(base)
    validate_device(json.loads(json.dumps(home.payload(topics, camera))))
    topic = home.topic(topics, camera)
    assert re.fullmatch(TOPIC_PATTERN, topic.removeprefix("homeassistant/"))


@pytest.mark.parametrize(
    ("component", "key", "value"),
    [
        ("anomaly", "device_class", "trouble"),
        ("health", "options", []),
        ("health", "state_class", "measurement"),
        ("threshold", "step", 0),
        ("event", "event_types", None),
        ("snooze", "state_topic", "edgewatch/front/state"),
        ("thumbnail", "url_topic", "edgewatch/front/url"),
        ("score", "availability_topic", "edgewatch/status"),
    ],
)
def test_rules_refuse_what_home_assistant_would(component: str, key: str, value: object) -> None:
    payload = HOME.payload(Topics(), "front")
    validate_device(payload)
    payload["cmps"][component][key] = value
    with pytest.raises(jsonschema.ValidationError):
        validate_device(payload)


def test_each_entity_of_the_contract_is_there() -> None:
    kinds = {name: one["p"] for name, one in components().items()}
    assert kinds == {
        "anomaly": "binary_sensor",
        "score": "sensor",
        "health": "sensor",
        "enabled": "switch",
        "threshold": "number",
        "event": "event",
        "thumbnail": "image",
        "snooze": "button",
        "end_snooze": "button",
        "snoozed_until": "sensor",
        "feedback_true": "button",
        "feedback_false": "button",
    }


def test_without_thumbnails_there_is_no_image() -> None:
    home = HomeAssistant("homeassistant", version="1", thumbnails=False)
    assert "thumbnail" not in home.payload(Topics(), "front")["cmps"]


def test_ids_hang_on_base_topic_and_camera_alone() -> None:
    """The service's id is no part of them, so that it may be renamed; nor is the version."""
    newer = HomeAssistant("homeassistant", version="9", thumbnails=True)
    old, new = HOME.payload(Topics(), "front"), newer.payload(Topics(), "front")
    ids = {name: one["unique_id"] for name, one in old["cmps"].items()}
    assert ids == {name: one["unique_id"] for name, one in new["cmps"].items()}
    assert old["dev"]["ids"] == new["dev"]["ids"] == ["edgewatch.front"]
    assert ids["score"] == "edgewatch.front.score"
    assert HOME.topic(Topics(), "front") == "homeassistant/device/edgewatch/front/config"


@given(st.lists(st.tuples(bases, cameras), min_size=2, max_size=2, unique=True))
def test_two_cameras_never_share_an_id_or_a_topic(pairs: list[tuple[str, str]]) -> None:
    one, other = ((Topics(base), camera) for base, camera in pairs)
    assert HOME.topic(*one) != HOME.topic(*other)
    ids = [component["unique_id"] for component in HOME.payload(*one)["cmps"].values()]
    others = [component["unique_id"] for component in HOME.payload(*other)["cmps"].values()]
    assert not set(ids) & set(others)


def test_base_topics_that_look_alike_are_told_apart() -> None:
    assert node_of("edgewatch") == "edgewatch"
    assert len({node_of(base) for base in ("a/b", "a_b", "a b", "a.b")}) == 4


# What is read out of our payloads


@pytest.mark.parametrize(
    ("state", "shown"), [("anomaly", "ON"), ("normal", "OFF"), ("unknown", "None")]
)
def test_problem_is_unknown_while_nothing_is_judged(state: Any, shown: str) -> None:
    payload = state_payload(CameraState(FRONT, state, 1.8e9))
    assert rendered(components()["anomaly"]["value_template"], payload) == shown


def test_score_is_read_and_there_only_while_clips_are_judged() -> None:
    score = components()["score"]
    verdict = Verdict("front-1", FRONT, "Anomaly", 0.91, 0.5, 1.8e9, 1.8e9 + 5, 0, 5, "e", 200.0)
    assert score["state_topic"] == "edgewatch/front/verdict"
    assert rendered(score["value_template"], verdict_payload(verdict)) == "0.91"
    judged = score["availability"][1]
    assert judged["topic"] == "edgewatch/front/state"
    for state, shown in (("normal", "online"), ("anomaly", "online"), ("unknown", "offline")):
        payload = state_payload(CameraState(FRONT, state, 1.8e9))  # type: ignore[arg-type] # literals
        assert rendered(judged["value_template"], payload) == shown


@pytest.mark.parametrize("state", get_args(HealthState))
def test_every_health_is_one_of_the_options(state: HealthState) -> None:
    health = components()["health"]
    shown = rendered(health["value_template"], health_payload(Health(FRONT, state, 1.8e9)))
    assert shown == state
    assert shown in health["options"]


@pytest.mark.parametrize("enabled", [True, False])
def test_controls_show_what_holds(enabled: bool) -> None:
    payload = settings_payload(
        enabled=enabled, threshold=0.35, snoozed_until_seconds=None, now_seconds=1.8e9
    )
    switch, number = components()["enabled"], components()["threshold"]
    shown = rendered(switch["value_template"], payload)
    assert shown == (switch["payload_on"] if enabled else switch["payload_off"])
    assert float(rendered(number["value_template"], payload)) == 0.35
    assert rendered(components()["snoozed_until"]["value_template"], payload) == "None"


def test_end_of_a_snooze_is_a_moment() -> None:
    payload = settings_payload(
        enabled=True, threshold=0.5, snoozed_until_seconds=1.8e9 + 600, now_seconds=1.8e9
    )
    shown = rendered(components()["snoozed_until"]["value_template"], payload)
    assert iso_to_seconds(shown) == 1.8e9 + 600


@given(st.text(max_size=200))
def test_event_is_json_with_its_type_whatever_a_model_says(words: str) -> None:
    event = Event(
        event_id="0198c4a2-7d3e-7b1c-9a55-3f2e8d6c1b70",
        type="update",
        revision=2,
        camera=FRONT,
        score=0.91,
        peak_score=0.93,
        peak_clip_id="front-1",
        threshold=0.5,
        start_seconds=1.8e9,
        end_seconds=None,
        clips=2,
        engine="builtin-1",
        description=words,
        thumbnail="front/2026-11-21/x.jpg",
    )
    entity = components()["event"]
    shown = json.loads(rendered(entity["value_template"], event_payload(event)))
    assert shown["event_type"] in entity["event_types"]
    assert shown["description"] == words
    assert shown["thumbnail"] == "front/2026-11-21/x.jpg"
    assert (shown["event_id"], shown["end"]) == (event.event_id, None)


def test_commands_go_where_commands_are_taken() -> None:
    topics = Topics("site/edge")
    commands = {
        name: topics.command_of(one["command_topic"])
        for name, one in components("site/edge").items()
        if "command_topic" in one
    }
    assert commands == {
        "enabled": ("front", "enabled"),
        "threshold": ("front", "threshold"),
        "snooze": ("front", "snooze_seconds"),
        "end_snooze": ("front", "snooze_seconds"),
        "feedback_true": ("front", "feedback"),
        "feedback_false": ("front", "feedback"),
    }
