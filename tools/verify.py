"""`edgewatch verify`: judges the evidence of an event again and says whether its score stands."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.exits import EX_FAILED, EX_OK
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.engine_setup import calibration_file, engine_setup
from edgewatch.pipeline.engines import create_engine
from edgewatch.pipeline.errors import EngineError
from edgewatch.pipeline.evidence.folder import EvidenceFolder
from edgewatch.pipeline.store import Store
from edgewatch.tools.calibrating.then import as_then
from edgewatch.tools.evidence_case import CaseUnreadable, KeptCase, read_case
from edgewatch.tools.record_reading import exit_code_of
from edgewatch.tools.rejudging import Finding, judged_again


def main(argv: Sequence[str] | None = None) -> int:
    """Judge an event again; 0 its score stands, 1 it does not or cannot be told, 78 settings."""
    options = _parser().parse_args(sys.argv[1:] if argv is None else argv)
    configure_logs(default="error", stream=sys.stderr)
    return exit_code_of("verify", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch verify",
        description="Decode the evidence of an event again, compare it with the fingerprints of "
        "what was judged, judge it again with the configured engine, and say whether the score "
        "stands.",
        epilog="exit codes: 0 it stands, 1 it does not or there is no evidence, 78 settings wrong",
    )
    parser.add_argument(
        "event",
        metavar="EVENT_ID",
        help="as `edgewatch events` shows it; its "
        "beginning is enough, if only one event's id begins so",
    )
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        metavar="SCORE",
        help="how far scores may be apart; default: 0.02, or 0.15 where the video was encoded anew",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings to find the evidence")
    return parser


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0 and at most 1")
    return value


def _run(options: argparse.Namespace) -> int:
    settings = load_settings(options.config)
    try:
        case = _case_of(settings, options.event)
        finding = asyncio.run(_judged(settings, case, options.tolerance))
    except (CaseUnreadable, EngineError) as error:
        if options.json:
            told = {"event_id": options.event, "stands": False, "reasons": [str(error)]}
            print(json.dumps(told, ensure_ascii=False))
        sys.stderr.write(f"edgewatch verify: {error}\n")
        return EX_FAILED
    if options.json:
        print(json.dumps(finding.document(), ensure_ascii=False))
    else:
        _tell(finding)
    return EX_OK if finding.stands else EX_FAILED


def _case_of(settings: Settings, event_id: str) -> KeptCase:
    data_dir = settings.service.data_dir
    path = data_dir / "edgewatch.db"
    if not path.exists():
        raise CaseUnreadable(f"there is no {path}: name the daemon's settings with --config")
    with Store.open_readonly(path) as records:
        events = records.events_with_prefix(event_id)
        if len(events) > 1:
            raise CaseUnreadable(f"several events begin with {event_id!r}: write more of it")
        if not events:
            raise CaseUnreadable(f"no event {event_id!r} is on record")
        row = records.evidence(events[0].event_id)
    if row is None:
        raise CaseUnreadable(f"there is no evidence of event {event_id}, or it was removed")
    if row.state == "failed" and row.detail:
        raise CaseUnreadable(f"evidence of event {event_id} could not be kept: {row.detail}")
    return read_case(EvidenceFolder(data_dir / "evidence"), row.folder, row.event_id)


async def _judged(settings: Settings, case: KeptCase, tolerance: float | None) -> Finding:
    then = case.clips[0].engine if case.clips else ""
    setup = engine_setup(settings, baseline_dir=None)
    setup, note = as_then(setup, calibration_file(settings), then)
    engine = create_engine(setup)
    try:
        await engine.start()
        return await judged_again(case, engine, tolerance, notes=[note] if note else [])
    finally:
        await engine.close()


def _tell(finding: Finding) -> None:
    console = Console()
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("clip", "label", "score", "again", "pixels"):
        table.add_column(column, justify="right" if column in ("score", "again") else "left")
    for clip in finding.clips:
        again = "-" if clip.score_again is None else f"{clip.score_again:.3f}"
        table.add_row(clip.clip_id, clip.label, f"{clip.score:.3f}", again, clip.pixels)
    console.print(table)
    for line in (*finding.notes, *finding.reasons):
        console.print(line, markup=False, highlight=False)
    word = "stands" if finding.stands else "does not stand"
    console.print(f"The score of event {finding.event_id} {word}.", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
