"""`edgewatch events`: the events on record, listed or followed."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgewatch.config.settings import load_settings
from edgewatch.daemon.exits import EX_OK
from edgewatch.pipeline.drill.names import shadow_of
from edgewatch.pipeline.evidence.gone import is_gone
from edgewatch.pipeline.messages import event_payload
from edgewatch.pipeline.records import Records
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import CameraName, Event, EvidenceRow, Feedback
from edgewatch.tools.record_reading import exit_code_of
from edgewatch.tools.times import HELP, joined, parse_time

POLL_SECONDS = 1.0
COLUMNS = (
    "start",
    "camera",
    "state",
    "peak",
    "clips",
    "seconds",
    "event",
    "description",
    "feedback",
)

_STATES = {
    None: "open",
    "quiet": "ended",
    "camera_lost": "ended: camera lost",
    "not_judged": "ended: no longer judged",
    "stream_ended": "ended: end of video",
    "disabled": "ended: camera switched off",
    "restart": "ended: restart",
}


def main(argv: Sequence[str] | None = None) -> int:
    """List or follow events; 0, 78 for wrong settings, 1 if the records cannot be read."""
    options = _parser().parse_args(joined(sys.argv[1:] if argv is None else argv))
    return exit_code_of("events", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    folder = load_settings(options.config).service.data_dir
    path = folder / ("replay.db" if options.replay else "edgewatch.db")
    if not path.exists():
        return _say_nothing_yet(path, options)
    with Store.open_readonly(path) as records:
        return _tell(records, options)


def follow(
    records: Records,
    after_change: int,
    *,
    camera: str | None,
    wait: Callable[[], bool],
    drills: bool = False,
) -> Iterator[Event]:
    """Yield each event whenever it changed after `after_change`, until `wait` says no.

    `drills`: the events of fire drills instead of all others.
    """
    while wait():
        while changed := records.events_changed(after_change, drills=drills):
            after_change = changed[-1][0]
            yield from (event for _, event in changed if camera in (None, event.camera))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch events",
        description="List the events on record, oldest first, or follow them as they happen.",
        epilog="exit codes: 0, 1 the records cannot be read, 78 settings wrong",
    )
    parser.add_argument("--camera", metavar="NAME", help="this camera's events alone")
    parser.add_argument("--since", metavar="TIME", type=_since, help=f"{HELP}; default: all")
    parser.add_argument("--limit", metavar="N", type=_limit, default=1000, help="default: 1000")
    parser.add_argument(
        "--follow", action="store_true", help="then wait, and tell each change, until Ctrl-C"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one JSON list; with --follow one JSON object a line, as events change",
    )
    parser.add_argument(
        "--replay", action="store_true", help="the events of `edgewatch replay --publish`"
    )
    parser.add_argument(
        "--drills", action="store_true", help="the events of fire drills, which stand in no list"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings to find the records")
    return parser


def _since(text: str) -> float:
    try:
        return parse_time(text, time.time())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000000")
    return int(text)


def _say_nothing_yet(path: Path, options: argparse.Namespace) -> int:
    maker = "edgewatch replay --publish" if options.replay else "edgewatch run"
    sys.stderr.write(
        f"no events: there is no {path} yet. `{maker}` makes it; if it runs with other settings, "
        "name them with --config\n"
    )
    if options.json and not options.follow:
        print("[]")
    return EX_OK


def _tell(records: Records, options: argparse.Namespace) -> int:
    camera = None if options.camera is None else CameraName(options.camera)
    if camera is not None and camera not in (known := records.cameras()):
        names = ", ".join(known) or "none"
        sys.stderr.write(f'nothing is on record of a camera "{camera}"; there are: {names}\n')
    if camera is not None and options.drills:
        camera = shadow_of(camera)
    latest = records.latest_change()
    events = records.events(camera, options.since, options.limit, drills=options.drills)
    ids = [event.event_id for event in events]
    said, on_disk = records.feedback_of(ids), records.evidence_of(ids)

    def of(event: Event) -> Feedback | None:
        return said.get(event.event_id)

    def document(event: Event) -> dict[str, Any]:
        return _document(event, of(event), on_disk.get(event.event_id))

    if options.json and not options.follow:
        print(json.dumps([document(event) for event in events], indent=2))
        return EX_OK
    if options.json:
        _print_lines(json.dumps(document(event)) for event in events)
    elif sys.stdout.isatty():
        rows = [(event, _row(event, of(event))) for event in events]
        Console().print(_table(rows) if rows else "no events")
    else:
        rows_of_text = [_row(event, of(event)) for event in events]
        _print_lines("\t".join(row) for row in [COLUMNS, *rows_of_text])
    if options.follow:
        never = threading.Event()
        steps = follow(
            records,
            latest,
            camera=camera,
            wait=lambda: not never.wait(POLL_SECONDS),
            drills=options.drills,
        )
        _print_lines(
            json.dumps(_document(event, answer, records.evidence(event.event_id)))
            if options.json
            else "\t".join(_row(event, answer))
            for event in steps
            for answer in [records.feedback(event.event_id)]
        )
    return EX_OK


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _document(event: Event, said: Feedback | None, row: EvidenceRow | None) -> dict[str, Any]:
    """The event as MQTT has it, whether it was sent, what was said of it, what is on disk."""
    gone = is_gone(event, row)
    told = event_payload(replace(event, video=None, thumbnail=None) if gone else event)
    return {
        **told,
        "evidence": {**told["evidence"], "gone": gone},
        "suppressed_by": event.suppressed_by,
        "feedback": said
        and {"correct": said.correct, "note": said.note, "given_by": said.given_by},
    }


def _row(event: Event, said: Feedback | None) -> tuple[str, ...]:
    """The event's columns, without what would break a line."""
    state = _STATES[event.ended_by]
    end = event.end_seconds
    start = datetime.fromtimestamp(event.start_seconds).astimezone()
    return (
        start.isoformat(sep=" ", timespec="seconds"),
        event.camera,
        f"{state}, not sent ({event.suppressed_by})" if event.suppressed_by else state,
        f"{event.peak_score:.2f}",
        f"{event.clips}",
        "" if end is None else f"{end - event.start_seconds:.1f}",
        event.event_id,
        " ".join(event.description.split()),
        "" if said is None else "true" if said.correct else "false",
    )


def _table(rows: Iterable[tuple[Event, tuple[str, ...]]]) -> Table:
    table = Table(*COLUMNS, box=box.SIMPLE_HEAD)
    for event, row in rows:
        style = "bold red" if event.end_seconds is None else ""
        # As Text: a description may hold what rich would take for mark-up.
        table.add_row(*(Text(cell) for cell in row), style=style)
    return table
