from __future__ import annotations

import contextlib
import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.feedback_command import (
    MAX_NOTE_CHARACTERS,
    FeedbackCommand,
    feedback_command,
)
from tests.mqtt_schemas import validate

EVENT = "0198c4a2-7d3e-7b1c-9a55-3f2e8d6c1b70"


@pytest.mark.parametrize(
    ("payload", "command"),
    [
        (b"true", FeedbackCommand(None, True, "")),
        (b" False\n", FeedbackCommand(None, False, "")),
        (b'{"correct": "true"}', FeedbackCommand(None, True, "")),
        (b'{"event_id": null, "correct": false}', FeedbackCommand(None, False, "")),
        (
            json.dumps({"event_id": EVENT.upper(), "correct": True, "note": " a\ncat "}).encode(),
            FeedbackCommand(EVENT, True, "a cat"),
        ),
    ],
)
def test_feedback_is_read(payload: bytes, command: FeedbackCommand) -> None:
    assert feedback_command(payload) == command


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (b"", "neither true nor false"),
        (b"1", "neither true nor false"),
        (b'"true"', "neither true nor false"),
        (b"\xff", "not UTF-8"),
        (b"{", "no JSON"),
        (b'{"a":' * 3000, "no JSON"),
        (b"{}", "correct is missing"),
        (b'{"correct": 1}', "neither true nor false"),
        (b'{"correct": null}', "neither true nor false"),
        (b'{"correct": true, "event_id": "front"}', "event_id"),
        (b'{"correct": true, "event_id": ["x"]}', "event_id"),
        (b'{"correct": true, "note": null}', "note"),
        (json.dumps({"correct": True, "note": "x" * 501}).encode(), "500 characters"),
        (b'{"correct": true, "Note": ""}', "'Note' is unknown"),
    ],
)
def test_anything_else_is_told_what_is_wrong_with_it(payload: bytes, named: str) -> None:
    with pytest.raises(ValueError, match=r"^feedback: ") as told:
        feedback_command(payload)
    assert named in str(told.value)
    assert len(str(told.value)) < 150


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(payload: bytes) -> None:
    with contextlib.suppress(ValueError):
        feedback_command(payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "event_id": json_values | st.uuids().map(str),
            "correct": json_values | st.sampled_from(["true", "FALSE"]),
            "note": json_values,
            "extra": json_values,
        },
    )
)
def test_no_object_gets_past_that_the_schema_would_not(said: dict[str, object]) -> None:
    try:
        command = feedback_command(json.dumps(said).encode())
    except ValueError:
        return
    assert len(command.note) <= MAX_NOTE_CHARACTERS
    if isinstance(correct := said["correct"], str):
        said = {**said, "correct": correct.lower()}
    try:
        validate("set-feedback", said)
    except jsonschema.ValidationError as error:
        raise AssertionError(f"the schema refuses {said}") from error
