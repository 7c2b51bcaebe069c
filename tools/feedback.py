"""`edgewatch feedback`: what a person says of an event, kept for tuning."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.exits import EX_FAILED, EX_OK
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.feedback_command import note_of
from edgewatch.pipeline.records import Records, open_readonly
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import Event, Feedback
from edgewatch.tools.daemon_probe import tenant_of
from edgewatch.tools.record_reading import exit_code_of

ANSWER_SECONDS = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Keep feedback; 0, 1 for an unknown event or where it could not be kept, 78 for settings."""
    parser = argparse.ArgumentParser(
        prog="edgewatch feedback",
        description="Say of an event whether it was rightly one. `edgewatch tune` then shows which "
        "threshold would have kept the true ones and left the false ones out.",
        epilog="EVENT_ID is in every message of the event and in `edgewatch events`; its beginning "
        "is enough if no other event begins so. exit codes: 0, 1 no such event, or not kept, "
        "78 settings wrong",
    )
    parser.add_argument("event_id", metavar="EVENT_ID")
    parser.add_argument(
        "correct", choices=("true", "false"), help="rightly an event, or a false alarm"
    )
    parser.add_argument("--note", metavar="TEXT", default="", type=_note, help="why, in your words")
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings to find the records")
    options = parser.parse_args(argv)
    return exit_code_of("feedback", lambda: _run(options, load_settings(options.config)))


def _note(text: str) -> str:
    try:
        return note_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _run(options: argparse.Namespace, settings: Settings) -> int:
    path = settings.service.data_dir / "edgewatch.db"
    with open_readonly(path) as records:
        event = _found(records, options.event_id.strip().lower())
    if isinstance(event, str):
        sys.stderr.write(f"edgewatch feedback: {event}\n")
        return EX_FAILED
    correct = options.correct == "true"
    feedback = Feedback(event.event_id, event.camera, correct, options.note, "cli", time.time())
    if tenant_of(settings.service.data_dir).state == "none":
        with Store(path) as store:  # no daemon is at work on it
            store.set_feedback(feedback)
    else:
        asyncio.run(_tell_daemon(settings.service.control_socket, feedback))
    said = "rightly an event" if correct else "a false alarm"
    print(f"{event.event_id} of {event.camera}: {said}")
    return EX_OK


def _found(records: Records, prefix: str) -> Event | str:
    """Return the one event whose id begins so, or why there is none."""
    events = records.events_with_prefix(prefix, limit=5)
    if len(events) == 1:
        return events[0]
    if not events:
        return (
            f'there is no event "{prefix}". `edgewatch events` lists their ids; those older than '
            "the records are gone"
        )
    exact = [event for event in events if event.event_id == prefix]
    if exact:
        return exact[0]
    names = ", ".join(event.event_id for event in events[:4])
    return f'several events begin with "{prefix}": {names}{", …" if len(events) > 4 else ""}'


async def _tell_daemon(socket: Path, feedback: Feedback) -> None:
    """Have the daemon keep it: the records have one writer. Raises StoreError."""
    said = {
        "event_id": feedback.event_id,
        "correct": feedback.correct,
        "note": feedback.note,
    }
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    connector = aiohttp.UnixConnector(str(socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post("http://edgewatch/feedback", json=said) as answer,
        ):
            if answer.status != 204:
                raise StoreError(f"the daemon did not keep it: {_error(await answer.text())}")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        reason = str(error) or "timed out"
        raise StoreError(
            f"a daemon is at work on these records, and its control socket {socket} does not "
            f"answer ({reason}): run this as a user of the daemon's group (or with sudo), or "
            "answer over MQTT or on the page"
        ) from error


def _error(text: str) -> str:
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
