from __future__ import annotations

import json
import re
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.messages import (
    RESERVED_CAMERA_NAMES,
    Topics,
    command_value,
    coverage_payload,
    encode,
    event_payload,
    health_payload,
    iso_to_seconds,
    iso_utc,
    settings_payload,
    state_payload,
    stats_payload,
    verdict_payload,
)
from edgewatch.pipeline.types import (
    CameraName,
    CameraState,
    Coverage,
    EndedBy,
    Event,
    EventType,
    Evidence,
    Health,
    HealthState,
    Verdict,
)
from tests.mqtt_schemas import SCHEMAS, schema_of, validate, validate_message

CONTRACT_EVENT_KEYS = {
    *("event_id", "type", "camera", "label", "score", "peak_score", "start", "end"),
    *("description", "clips", "engine", "evidence", "replay", "revision"),
}
CONTRACT_VERDICT_KEYS = {
    *("clip_id", "label", "score", "threshold", "start", "end", "engine", "latency_ms"),
}

probabilities = st.floats(0.0, 1.0)
unix_seconds = st.floats(0.0, 4e9)
cameras = st.from_regex(r"[a-z0-9_-]{1,20}", fullmatch=True).map(CameraName)
words = st.text()
ids = st.uuids().map(str)
evidences = st.builds(Evidence, kind=words, strength=probabilities, where=words, detail=words)
verdicts = st.builds(
    Verdict,
    clip_id=ids,
    camera=cameras,
    label=st.sampled_from(["Normal", "Anomaly"]),
    score=probabilities,
    threshold=probabilities,
    start_seconds=unix_seconds,
    end_seconds=unix_seconds,
    media_start_seconds=unix_seconds,
    media_end_seconds=unix_seconds,
    engine=st.just("builtin-1"),
    latency_ms=st.floats(0.0, 1e7),
    evidence=st.lists(evidences, max_size=3).map(tuple),
    warming_up=st.booleans(),
    uncertain=st.booleans(),
    prompt_hash=st.sampled_from(["", "0123456789ab"]),
    replay=st.booleans(),
)
events = st.builds(
    Event,
    event_id=ids,
    type=st.sampled_from(get_args(EventType)),
    revision=st.integers(1, 10_000),
    camera=cameras,
    score=probabilities,
    peak_score=probabilities,
    peak_clip_id=ids,
    threshold=probabilities,
    start_seconds=unix_seconds,
    end_seconds=st.none() | unix_seconds,
    clips=st.integers(1, 100_000),
    engine=st.just("builtin-1"),
    description=words,
    ended_by=st.sampled_from([None, *get_args(EndedBy)]),
    suppressed_by=st.none(),
    replay=st.booleans(),
)
healths = st.builds(
    Health,
    camera=cameras,
    state=st.sampled_from(get_args(HealthState)),
    since_seconds=unix_seconds,
    reason=words,
    detail=words,
)
states = st.builds(
    CameraState,
    camera=cameras,
    state=st.sampled_from(["normal", "anomaly", "unknown"]),
    since_seconds=unix_seconds,
    score=st.none() | probabilities,
    event_id=st.none() | ids,
)
totals: st.SearchStrategy[dict[Coverage, int]] = st.dictionaries(
    st.sampled_from(get_args(Coverage)), st.integers(0, 86_400_000)
)


def sent(payload: dict[str, Any]) -> Any:
    """What a consumer reads of a payload."""
    return json.loads(encode(payload))


def keys_of(name: str) -> set[str]:
    return set(SCHEMAS[name]["properties"])


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_a_valid_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


@given(verdicts)
def test_verdict_has_the_keys_of_contract_and_schema(verdict: Verdict) -> None:
    payload = sent(verdict_payload(verdict))
    validate("verdict", payload)
    assert payload.keys() >= CONTRACT_VERDICT_KEYS
    assert payload.keys() | {"prompt", "replay"} == keys_of("verdict")
    assert ("prompt" in payload) is bool(verdict.prompt_hash)
    assert ("replay" in payload) is verdict.replay


@given(events)
def test_event_has_the_keys_of_contract_and_schema(event: Event) -> None:
    payload = sent(event_payload(event))
    validate("event", payload)
    assert payload.keys() == CONTRACT_EVENT_KEYS | {"ended_by", "threshold", "schema"}
    assert payload.keys() == keys_of("event")
    assert payload["evidence"] == {"video": None, "thumbnail": None}
    assert (payload["end"] is None) is (event.end_seconds is None)


@given(events)
def test_event_marked_as_a_drill_satisfies_the_drill_schema_and_an_unmarked_one_does_not(
    event: Event,
) -> None:
    payload = sent(event_payload(event))
    with pytest.raises(jsonschema.ValidationError):
        validate("drill-event", payload)
    validate("drill-event", payload | {"drill": True, "drill_id": "d", "nonce": "n"})


@given(healths, st.booleans())
def test_health_has_the_keys_of_its_schema(health: Health, replay: bool) -> None:
    payload = sent(health_payload(health, replay=replay))
    validate("health", payload)
    assert payload.keys() | {"replay"} == keys_of("health")
    assert payload.get("replay", False) is replay


@given(states, st.booleans())
def test_state_has_the_keys_of_its_schema(state: CameraState, replay: bool) -> None:
    payload = sent(state_payload(state, replay=replay))
    validate("state", payload)
    assert payload.keys() | {"replay"} == keys_of("state")


@given(totals, unix_seconds)
def test_coverage_adds_up_to_its_window_to_the_millisecond(
    totals_ms: dict[Coverage, int], end_seconds: float
) -> None:
    payload = sent(coverage_payload(totals_ms, end_seconds=end_seconds + 1e6))
    validate("coverage", payload)
    parts = [payload["judged"], *payload["not_judged"].values()]
    assert sum(round(part * 1000) for part in parts) == sum(totals_ms.values())
    assert round(payload["window_seconds"] * 1000) == sum(totals_ms.values())
    span_seconds = iso_to_seconds(payload["end"]) - iso_to_seconds(payload["start"])
    assert span_seconds == pytest.approx(payload["window_seconds"], abs=0.0011)


@given(st.booleans(), probabilities, st.none() | unix_seconds, unix_seconds, st.none() | words)
def test_settings_say_a_snooze_only_while_it_lasts(
    enabled: bool, threshold: float, until: float | None, now: float, error: str | None
) -> None:
    payload = sent(
        settings_payload(
            enabled=enabled,
            threshold=threshold,
            snoozed_until_seconds=until,
            now_seconds=now,
            error=error,
        )
    )
    validate("settings", payload)
    assert payload.keys() == keys_of("settings")
    assert (payload["snoozed_until"] is not None) is (until is not None and until > now)


def test_stats_are_stamped_and_versioned() -> None:
    """What the figures themselves are is held against the schema where they are made."""
    figures = {"clips_judged": 3, "latency_ms": {}}
    payload = sent(stats_payload(figures, now_seconds=0.0))
    assert payload == {"schema": 1, "time": "1970-01-01T00:00:00.000Z", **figures}


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_time_survives_its_text_to_the_millisecond(milliseconds: int) -> None:
    text = iso_utc(milliseconds / 1000.0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert iso_to_seconds(text) == milliseconds / 1000.0


def test_time_is_rounded_and_not_cut_off() -> None:
    assert iso_utc(0.9996) == "1970-01-01T00:00:01.000Z"


def test_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        iso_to_seconds("2026-11-21T10:59:12.250")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_does_not_have_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode({"score": number})


def test_half_a_surrogate_pair_in_the_words_does_not_stop_an_alert() -> None:
    assert json.loads(encode({"description": "a \ud800 b"})) == {"description": "a ? b"}


def test_topics_are_those_of_the_contract() -> None:
    topics = Topics("site/edgewatch")
    assert topics.status == "site/edgewatch/status"
    assert topics.stats == "site/edgewatch/stats"
    assert topics.state("front") == "site/edgewatch/front/state"
    assert topics.health("front") == "site/edgewatch/front/health"
    assert topics.verdict("front") == "site/edgewatch/front/verdict"
    assert topics.events("front") == "site/edgewatch/front/events"
    assert topics.coverage("front") == "site/edgewatch/front/coverage"
    assert topics.settings("front") == "site/edgewatch/front/settings"
    assert topics.commands == "site/edgewatch/+/set/+"


@given(cameras.filter(lambda name: name not in RESERVED_CAMERA_NAMES))
def test_replay_never_meets_a_live_topic(camera: str) -> None:
    def all_of(topics: Topics) -> set[str]:
        per_camera = (
            *(topics.state, topics.health, topics.verdict),
            *(topics.events, topics.coverage, topics.settings),
        )
        return {topics.stats} | {topic(camera) for topic in per_camera}

    live, replayed = all_of(Topics()), all_of(Topics(replay=True))
    assert not live & replayed
    assert all(topic.startswith("edgewatch/replay/") for topic in replayed)
    assert {schema_of(topic) for topic in live} == {schema_of(topic) for topic in replayed}


@pytest.mark.parametrize("base", ["", "/a", "a/", "a/#", "+", "a\0b", "$SYS"])
def test_base_that_cannot_begin_a_topic_is_refused(base: str) -> None:
    with pytest.raises(ValueError, match="base topic"):
        Topics(base)


@given(cameras, st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True))
def test_command_topic_says_camera_and_key(camera: str, key: str) -> None:
    assert Topics("a/b").command_of(f"a/b/{camera}/set/{key}") == (camera, key)


@pytest.mark.parametrize(
    "topic",
    [
        *("edgewatch/front/state", "edgewatch/front/set", "edgewatch/front/set/a/b", "edgewatch"),
        *("edgewatch/Front/set/enabled", "edgewatch//set/enabled", "edgewatch/front/set/"),
        *("other/front/set/enabled", "edgewatch/front/set/enabled\n", "edgewatch/front/set/é"),
    ],
)
def test_topic_that_is_no_command_is_none(topic: str) -> None:
    assert Topics().command_of(topic) is None


@given(st.text(max_size=40))
def test_no_topic_confuses_the_reader_of_commands(tail: str) -> None:
    found = Topics().command_of(f"edgewatch/{tail}")
    assert found is None or f"{found[0]}/set/{found[1]}" == tail


@pytest.mark.parametrize(
    ("key", "payload", "value"),
    [
        ("enabled", b"true", True),
        ("enabled", b"OFF", False),
        ("threshold", b" 0.75\n", 0.75),
        ("snooze_seconds", b"600", 600.0),
    ],
)
def test_command_is_understood(key: str, payload: bytes, value: float) -> None:
    assert command_value(key, payload) == value
    if key != "enabled":
        validate_message(f"edgewatch/front/set/{key}", payload)


@pytest.mark.parametrize(
    ("key", "payload", "says"),
    [
        ("enabled", b"maybe", "neither true nor false"),
        ("threshold", b"1.5", "between 0 and 1"),
        ("threshold", b"nan", "between 0 and 1"),
        ("threshold", b"", "no number"),
        ("snooze_seconds", b"-1", "between 0 and 86400"),
        ("snooze_seconds", b"\xff", "not UTF-8"),
        ("colour", b"red", "no such setting"),
    ],
)
def test_bad_command_says_what_is_wrong(key: str, payload: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        command_value(key, payload)
    assert str(caught.value).startswith(f"{key}: ")


@given(st.sampled_from(["enabled", "threshold", "snooze_seconds"]), st.binary(max_size=64))
def test_no_bytes_make_a_command_raise_anything_but_value_error(key: str, payload: bytes) -> None:
    try:
        value = command_value(key, payload)
    except ValueError:
        return
    validate(f"set-{key}", value)
