"""The command `feedback`: what a person says of an event, as it comes in on MQTT. Pure."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from uuid import UUID

MAX_NOTE_CHARACTERS = 500

_KEYS = {"event_id", "correct", "note"}


@dataclass(frozen=True, slots=True)
class FeedbackCommand:
    """What somebody says; of the last event that was sent if `event_id` is None."""

    event_id: str | None
    correct: bool
    note: str


def feedback_command(payload: bytes) -> FeedbackCommand:
    """Read `{"event_id": ..., "correct": true, "note": ""}`, or the word true or false alone.

    Raises ValueError with a sentence fit for the answer's `error`.
    """
    try:
        text = payload.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError("feedback: the value is not UTF-8 text") from error
    if not text.startswith("{"):
        return FeedbackCommand(None, _correct(text), "")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("feedback: the value is no JSON") from None
    if unknown := sorted(set(said) - _KEYS):
        raise ValueError(
            f"feedback: {unknown[0][:40]!r} is unknown; there are event_id, correct, note"
        )
    if "correct" not in said:
        raise ValueError("feedback: correct is missing; it is true or false")
    return FeedbackCommand(
        None if said.get("event_id") is None else _event_id(said["event_id"]),
        _correct(said["correct"]),
        note_of(said.get("note", "")),
    )


def note_of(note: object) -> str:
    """Return a note as it is kept: without control characters. Raises ValueError."""
    if not isinstance(note, str):
        raise ValueError("feedback: note is no text")
    if len(note) > MAX_NOTE_CHARACTERS:
        raise ValueError(f"feedback: note is longer than {MAX_NOTE_CHARACTERS} characters")
    # Cs: half a surrogate pair, which no file and no page can hold.
    kept = (" " if unicodedata.category(one) in ("Cc", "Cs") else one for one in note)
    return "".join(kept).strip()


def _event_id(value: object) -> str:
    try:
        return str(UUID(value)) if isinstance(value, str) else _no_id()
    except ValueError:
        return _no_id()


def _no_id() -> str:
    raise ValueError("feedback: event_id is no event's id")


def _correct(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(f"feedback: {str(value)[:40]!r} is neither true nor false")
