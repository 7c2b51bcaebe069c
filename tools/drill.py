"""`edgewatch drill`: rehearses the alarm of one camera, from its live clips to a subscriber."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgewatch.config.drill import DrillKind
from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.exits import EX_FAILED, EX_OK
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.drill.result import DrillResult, encode_result
from edgewatch.pipeline.drill.standing import Standing, standing_of
from edgewatch.pipeline.errors import DrillRefused, EngineFailed
from edgewatch.pipeline.records import open_readonly
from edgewatch.pipeline.types import CameraName
from edgewatch.tools.drill_request import Begun, Reached, ask_for_drill
from edgewatch.tools.record_reading import exit_code_of

EX_REFUSED = 2
LISTED = 20
COLUMNS = ("began", "camera", "outcome", "link", "kind", "score", "seconds")

DESCRIPTION = """\
Rehearse the alarm of one camera in the service that runs here. An incident is drawn into copies of
its live clips; the copies are judged beside the real ones, which go first and stay as they are; the
event that follows goes through rules, records and outbox to the broker, on the drill's own topics;
and a subscriber of its own waits for it there. Says how long each link took, or which one broke.

Nothing of a drill is an alert: no siren, phone, webhook or Home Assistant hears of it. A real event
meanwhile is told as ever, and ends the drill.
"""
EPILOG = """\
examples:
  edgewatch drill --camera front               the incident that [drill] kind names
  edgewatch drill --camera front --kind smoke
  edgewatch drill --list                       the last drills, and who was not drilled for long

[drill] at = "04:00" drills every camera by itself: docs/drill.md.
exit codes: 0 passed, 1 failed (the broken link is named), 2 refused or broken off, 78 settings
wrong
"""
_WORDS = {
    "subscribed": "the witness listens at the broker",
    "camera": "a live clip came",
    "composed": "its copy was made",
    "engine": "the engine judged the copy",
    "policy": "the incident opened an event",
    "store": "the event was saved",
    "outbox": "the broker has it",
    "witness": "the witness has it",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    if not options.list and options.camera is None:
        sys.stderr.write("edgewatch drill: name a camera with --camera, or see --list\n")
        return EX_REFUSED
    return exit_code_of("drill", lambda: _run(options, load_settings(options.config)))


def _run(options: argparse.Namespace, settings: Settings) -> int:
    if options.list:
        return _list(options, settings)
    try:
        result = asyncio.run(_drill(options, settings))
    except DrillRefused as refusal:
        sys.stderr.write(f"edgewatch drill: refused: {refusal}\n")
        if options.json:
            print(json.dumps({"schema": 1, "outcome": "refused", "reason": str(refusal)}))
        return EX_REFUSED
    except EngineFailed as error:
        sys.stderr.write(f"edgewatch drill: {error}\n")
        return EX_FAILED
    if options.json:
        print(json.dumps({"schema": 1, **encode_result(result)}))
    else:
        _tell(result)
    return {"passed": EX_OK, "failed": EX_FAILED}.get(result.outcome, EX_REFUSED)


async def _drill(options: argparse.Namespace, settings: Settings) -> DrillResult:
    socket = settings.service.control_socket
    async for update in ask_for_drill(socket, options.camera, options.kind):
        match update:
            case Begun():
                terms = " + ".join(f"{name} {took:.1f}" for name, took in update.terms.items())
                total = sum(update.terms.values())
                _say(f"drill {update.drill_id} ({update.kind}): at most {total:.0f} s = {terms}")
            case Reached():
                _say(f"{update.seconds:8.2f} s  {_WORDS.get(update.stage, update.stage)}")
            case DrillResult():
                return update
    raise EngineFailed("the service ended before the drill did: start it, and drill again")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _tell(result: DrillResult) -> None:
    console = Console()
    style = {"passed": "bold green", "failed": "bold red"}.get(result.outcome, "bold yellow")
    console.print(Text(result.headline, style=style))
    for line in _lines(result):
        console.print(Text(line))


def _lines(result: DrillResult) -> list[str]:
    lines = []
    if result.sentence:
        lines.append(result.sentence)
    if result.cure:
        lines.append(f"-> {result.cure}")
    if result.score is not None:
        lines.append(
            f"best score {result.score:.3f} of threshold {result.threshold:.3f}; "
            f"untouched copy {_score(result.control_score)}, its real clip "
            f"{_score(result.real_score)}"
        )
    if result.latency_seconds is not None:
        lines.append(
            f"{result.latency_seconds:.2f} s from the first clip that shows the incident to the "
            "subscriber"
        )
    lines.append(f"{result.clips} clips judged for it, in {result.took_seconds:.1f} s")
    return lines + [f"! {finding}" for finding in result.findings]


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.3f}"


def _list(options: argparse.Namespace, settings: Settings) -> int:
    with open_readonly(settings.service.data_dir / "edgewatch.db") as records:
        drills = records.drills(options.camera, LISTED)
        last, passed = records.last_drills(), records.drills_passed()
        known = {plan.name: records.known_since(CameraName(plan.name)) for plan in settings.plans()}
    remind = settings.drill.remind_after_days
    standings = {
        name: standing_of(
            last.get(name),
            passed_seconds=passed.get(name),
            known_seconds=since,
            now_seconds=time.time(),
            remind_after_days=remind,
        )
        for name, since in known.items()
        if options.camera in (None, name)
    }
    if options.json:
        cameras = {name: _standing(one) for name, one in standings.items()}
        shown = [encode_result(one) for one in drills]
        print(json.dumps({"schema": 1, "drills": shown, "cameras": cameras}))
        return EX_OK
    console = Console()
    console.print(_table(drills) if drills else "no drill is on record")
    for name, one in standings.items():
        if one.last is None:
            console.print(Text(f"{name}: never drilled", style="yellow" if one.overdue else ""))
        elif one.overdue:
            console.print(Text(f"{name}: not drilled for {one.days} days", style="yellow"))
    return EX_OK


def _standing(standing: Standing) -> Mapping[str, Any]:
    return {
        "days": standing.days,
        "overdue": standing.overdue,
        "failed": standing.failed,
        "passed_seconds": standing.passed_seconds,
    }


def _table(drills: Sequence[DrillResult]) -> Table:
    table = Table(
        "began", "camera", "outcome", "link", "kind", "score", "seconds", box=box.SIMPLE_HEAD
    )
    for one in drills:
        began = datetime.fromtimestamp(one.started_seconds).isoformat(" ", "seconds")
        cells = (
            began,
            one.camera,
            one.outcome,
            one.link or "",
            one.kind,
            _score(one.score),
            f"{one.took_seconds:.1f}",
        )
        style = "" if one.passed else "bold red"
        table.add_row(*(Text(cell) for cell in cells), style=style)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch drill",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--camera", metavar="NAME", help="the camera whose alarm is rehearsed")
    parser.add_argument(
        "--kind", choices=get_args(DrillKind), help="the incident; default: [drill] kind"
    )
    parser.add_argument(
        "--list", action="store_true", help="the last drills, and cameras not drilled for long"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings; default as for run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
