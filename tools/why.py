"""`edgewatch why`: for a moment of a camera, whether it was watched and what came of it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgewatch.config.problems import nearest
from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.exits import EX_FAILED, EX_OK
from edgewatch.pipeline.explain import Explanation, explain
from edgewatch.pipeline.inquiry import Inquiry, gather
from edgewatch.pipeline.messages import event_payload, iso_utc, verdict_payload
from edgewatch.pipeline.records import open_readonly
from edgewatch.pipeline.types import CameraName, Verdict
from edgewatch.tools.record_reading import exit_code_of
from edgewatch.tools.times import HELP, joined, parse_time

ROWS_EACH_WAY = 6
"""Clips shown before and after those that hold the moment."""
BAR_WIDTH = 20
COLUMNS = ("start", "end", "score", "threshold", "label", "engine", "reasons")


def main(argv: Sequence[str] | None = None) -> int:
    """Explain; 0, 1 for no such camera or time, 78 for wrong settings."""
    now_seconds = time.time()
    options = _parser(now_seconds).parse_args(joined(sys.argv[1:] if argv is None else argv))
    return exit_code_of("why", lambda: _run(options, load_settings(options.config), now_seconds))


def _parser(now_seconds: float) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch why",
        description="Explain a moment of a camera: was it watched, and if not, why; by which "
        "engine, with which scores against which threshold; which event it became, or why none. "
        "Reads the records of the daemon, which may run or not.",
        epilog="exit codes: 0, 1 no such camera, a time beyond the records or in the future, or "
        "the records cannot be read, 78 settings wrong. See docs/why.md",
    )

    def moment(text: str) -> float:
        try:
            return parse_time(text, now_seconds)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser.add_argument("--camera", metavar="NAME", required=True)
    parser.add_argument("--at", metavar="TIME", type=moment, required=True, help=HELP)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings to find the records")
    return parser


def _run(options: argparse.Namespace, settings: Settings, now_seconds: float) -> int:
    camera = CameraName(options.camera)
    configured = [CameraName(one.name) for one in settings.cameras]
    with open_readonly(settings.service.data_dir / "edgewatch.db") as records:
        known = [*configured, *records.cameras()]
        if camera not in known:
            return _say_unknown(camera, known)
        inquiry = gather(records, settings, camera, options.at, now_seconds)
        answer = explain(inquiry)
        event = None if answer.event_id is None else records.event(answer.event_id)
        feedback = None if event is None else records.feedback(event.event_id)
    if options.json:
        document = _document(inquiry, answer)
        document["event"] = None if event is None else event_payload(event)
        document["feedback"] = None if feedback is None else asdict(feedback)
        print(json.dumps(document, indent=2))
    else:
        _print(inquiry, answer)
        if feedback is not None:
            word = "rightly an event" if feedback.correct else "a false alarm"
            print(f"Somebody said of it: {word}. {feedback.note}".rstrip())
    return EX_OK if answer.known else EX_FAILED


def _say_unknown(camera: str, known: Iterable[str]) -> int:
    names = list(dict.fromkeys(known))
    cure = nearest(camera, names) if names else "None is known yet."
    sys.stderr.write(f'edgewatch why: there is no camera "{camera}". {cure}\n')
    return EX_FAILED


def _document(inquiry: Inquiry, answer: Explanation) -> dict[str, Any]:
    held = {one.clip_id for one in answer.verdicts}
    return {
        "schema": 1,
        "camera": inquiry.camera,
        "at": iso_utc(inquiry.moment_seconds),
        "kind": answer.kind,
        "watched": answer.watched,
        "headline": answer.headline,
        "facts": list(answer.sentences),
        "advice": list(answer.advice),
        "event_id": answer.event_id,
        "rules": {**asdict(inquiry.rules_then), "on_record": inquiry.rules_are_known},
        "threshold_now": inquiry.threshold,
        "clips": [
            {**verdict_payload(one), "holds_the_moment": one.clip_id in held}
            for one in answer.around
        ],
    }


def _print(inquiry: Inquiry, answer: Explanation) -> None:
    console = Console(highlight=False)
    at = datetime.fromtimestamp(inquiry.moment_seconds).astimezone()
    moment = at.isoformat(sep=" ", timespec="seconds")
    console.print(Text.assemble((f"{inquiry.camera}, {moment}", "bold")))
    style = "green" if answer.watched == "judged" else "yellow"
    console.print(Text(answer.headline, style=f"bold {style}"), soft_wrap=True)
    for sentence in answer.sentences:
        console.print(Text(f"  {sentence}"), soft_wrap=True)
    shown = _near(answer)
    if shown:
        console.print(_table(answer, shown, inquiry.moment_seconds))
    for sentence in answer.advice:
        console.print(Text.assemble(("-> ", "bold"), sentence), soft_wrap=True)


def _near(answer: Explanation) -> Sequence[Verdict]:
    """Return the clips that hold the moment, and some before and after."""
    held = [number for number, one in enumerate(answer.around) if one in answer.verdicts]
    if not held:
        return ()
    return answer.around[max(0, held[0] - ROWS_EACH_WAY) : held[-1] + 1 + ROWS_EACH_WAY]


def _table(answer: Explanation, shown: Sequence[Verdict], at_seconds: float) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "clip", "score", "", "of", "reasons"):
        table.add_column(
            heading,
            justify="right" if heading in ("score", "of") else "left",
            no_wrap=heading != "reasons",
            overflow="fold",
        )
    for one in shown:
        times = f"{_clock(one.start_seconds)} +{one.end_seconds - one.start_seconds:.1f} s"
        reasons = ", ".join(reason.kind.replace("_", " ") for reason in one.evidence)
        table.add_row(
            ">" if one in answer.verdicts else "",
            times,
            f"{one.score:.3f}",
            _bar(one),
            f"{one.threshold:g}",
            Text(reasons),
            style="red" if one.anomalous else "",
        )
    return table


def _bar(one: Verdict) -> Text:
    """Draw the score, with the threshold as a stroke."""
    filled, mark = round(one.score * BAR_WIDTH), min(BAR_WIDTH - 1, int(one.threshold * BAR_WIDTH))
    cells = ["#" if cell < filled else "." for cell in range(BAR_WIDTH)]
    cells[mark] = "|"
    return Text("".join(cells))


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%H:%M:%S.%f}"[:-5]
