"""`edgewatch tune`: what each threshold would have meant, and which one to set."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgewatch.config.problems import nearest
from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.exits import EX_FAILED, EX_OK
from edgewatch.pipeline.inquiry import threshold_in_force
from edgewatch.pipeline.messages import iso_utc
from edgewatch.pipeline.records import Records, open_readonly
from edgewatch.pipeline.tuning import (
    DAY_SECONDS,
    USUAL_ALERTS_A_DAY,
    Outcome,
    Proposal,
    Scores,
    Told,
    outcomes,
    propose,
    thresholds,
)
from edgewatch.pipeline.types import CameraName
from edgewatch.pipeline.watch import rules_of
from edgewatch.tools.record_reading import exit_code_of
from edgewatch.tools.times import HELP, joined, parse_time

LEAST_DAYS = 1.0
"""Fewer days of watching say little of what a day brings."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was read and found of one camera."""

    camera: CameraName
    since_seconds: float
    days: float
    """Of watching."""
    clips: int
    confirmed: int
    refuted: int
    current: float
    """The threshold in force."""
    in_file: float
    """The threshold in the settings, which an operator's own may lie over."""
    found: tuple[Outcome, ...]
    proposal: Proposal
    engine: str
    """Whose scores these are."""
    changed_seconds: float | None
    """Until when another engine judged, or the same one calibrated otherwise; None: no other."""

    @property
    def toml(self) -> str:
        """What to write into the settings."""
        return f"threshold = {self.proposal.outcome.threshold:g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Tune; 0, 1 for an unknown camera or nothing to go by, 78 for wrong settings."""
    now_seconds = time.time()
    options = _parser(now_seconds).parse_args(joined(sys.argv[1:] if argv is None else argv))
    return exit_code_of("tune", lambda: _run(options, load_settings(options.config), now_seconds))


def _parser(now_seconds: float) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch tune",
        description="Apply the camera's event rules to its recorded scores at many thresholds: "
        "how many alerts a day each would have meant, which events that people confirmed it would "
        "have kept, and which false alarms left; and propose one. Changes nothing.",
        epilog="Say of events whether they were rightly ones with `edgewatch feedback`, on the "
        "page or by MQTT. exit codes: 0, 1 no such camera or no scores, 78 settings wrong. See "
        "docs/tune.md",
    )

    def moment(text: str) -> float:
        try:
            return parse_time(text, now_seconds)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser.add_argument("--camera", metavar="NAME", required=True)
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=moment,
        default=now_seconds - 7 * DAY_SECONDS,
        help=f"{HELP}; default: 7 days ago",
    )
    parser.add_argument(
        "--alerts-a-day",
        metavar="N",
        type=_alerts,
        help="the most to allow; default: what confirmed events need, "
        f"{USUAL_ALERTS_A_DAY:g} while there are none",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings to find the records")
    return parser


def _alerts(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 100_000.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 100000")
    return number


def _run(options: argparse.Namespace, settings: Settings, now_seconds: float) -> int:
    camera = CameraName(options.camera)
    with open_readonly(settings.service.data_dir / "edgewatch.db") as records:
        known = [*(one.name for one in settings.cameras), *records.cameras()]
        if camera not in known:
            return _say_unknown(camera, known)
        tuning = tuned(records, settings, camera, options.since, now_seconds, options.alerts_a_day)
    if tuning is None:
        sys.stderr.write(
            f"edgewatch tune: no score of {camera} is on record since then. Let it watch for some "
            "days first, or name an earlier --since\n"
        )
        return EX_FAILED
    if options.json:
        print(json.dumps(_document(tuning), indent=2))
    else:
        _print(tuning, Console(highlight=False))
    return EX_OK


def tuned(
    records: Records,
    settings: Settings,
    camera: CameraName,
    since_seconds: float,
    until_seconds: float,
    alerts_a_day: float | None,
) -> Tuning | None:
    """Work everything out; None if there are no scores. Raises StoreError.

    Scores of another engine, or calibrated otherwise, are of another scale: they are left out.
    """
    engine, changed_seconds = records.engine_since(camera, since_seconds, until_seconds)
    if changed_seconds is not None:
        since_seconds = math.nextafter(changed_seconds, math.inf)
    scores = Scores.of(records.score_spans(camera, since_seconds, until_seconds))
    if not len(scores):
        return None
    plan = next((one for one in settings.plans() if one.name == camera), settings.plan_for(None))
    told = told_since(records, camera, since_seconds)
    current = threshold_in_force(records, plan, until_seconds)
    found = outcomes(scores, rules_of(plan), thresholds(current), told)
    days = scores.watched_seconds / DAY_SECONDS
    proposal = propose(found, current, alerts_a_day, any_told=bool(told), enough=days >= LEAST_DAYS)
    confirmed = sum(one.correct for one in told)
    return Tuning(
        camera=camera,
        since_seconds=since_seconds,
        days=days,
        clips=len(scores),
        confirmed=confirmed,
        refuted=len(told) - confirmed,
        current=current,
        in_file=plan.threshold,
        found=tuple(found),
        proposal=proposal,
        engine=engine,
        changed_seconds=changed_seconds,
    )


def told_since(records: Records, camera: CameraName, since_seconds: float) -> list[Told]:
    """Return the events since then that somebody said something of. Raises StoreError."""
    answers = {one.event_id: one for one in records.feedback_since(camera, since_seconds)}
    events = [event for one in answers if (event := records.event(one)) is not None]
    return [
        Told(
            event.start_seconds,
            event.start_seconds if event.end_seconds is None else event.end_seconds,
            answers[event.event_id].correct,
        )
        for event in events
    ]


def _say_unknown(camera: str, known: Iterable[str]) -> int:
    names = list(dict.fromkeys(known))
    cure = nearest(camera, names) if names else "None is known yet."
    sys.stderr.write(f'edgewatch tune: there is no camera "{camera}". {cure}\n')
    return EX_FAILED


def _document(tuning: Tuning) -> dict[str, object]:
    return {
        "schema": 1,
        "camera": tuning.camera,
        "since": iso_utc(tuning.since_seconds),
        "engine": tuning.engine,
        "other_engine_until": (
            None if tuning.changed_seconds is None else iso_utc(tuning.changed_seconds)
        ),
        "days_watched": tuning.days,
        "clips": tuning.clips,
        "confirmed": tuning.confirmed,
        "refuted": tuning.refuted,
        "threshold_now": tuning.current,
        "threshold_in_file": tuning.in_file,
        "proposed": tuning.proposal.outcome.threshold,
        "chosen_by": tuning.proposal.reason,
        "why": tuning.proposal.why,
        "toml": tuning.toml,
        "thresholds": [asdict(one) for one in tuning.found],
    }


def _print(tuning: Tuning, console: Console) -> None:
    heading = (
        f"{tuning.camera}: {tuning.clips} clips, {tuning.days:.1f} days of watching; "
        f"{tuning.confirmed} events confirmed, {tuning.refuted} called false alarms"
    )
    console.print(Text(heading, style="bold"), soft_wrap=True)
    if tuning.changed_seconds is not None:
        console.print(
            Text(
                f"Scores up to {iso_utc(tuning.changed_seconds)} are of another engine, or "
                f"calibrated otherwise, and left out: these are of {tuning.engine}.",
                style="yellow",
            ),
            soft_wrap=True,
        )
    if tuning.days < LEAST_DAYS:
        console.print(Text("Less than a day says little of what a day brings.", style="yellow"))
    console.print(_table(tuning))
    proposal = tuning.proposal
    proposed = proposal.outcome.threshold
    if tuning.in_file != tuning.current:
        console.print(
            f"An operator set {tuning.current:g} over the file's {tuning.in_file:g}; another value "
            "in the file takes that back."
        )
    if proposed == tuning.current:
        console.print(Text(f"Keep {proposed:g}: {proposal.why}."), soft_wrap=True)
        return
    console.print(Text(f"Proposed: {proposed:g} ({proposal.why})."), soft_wrap=True)
    console.print("In the camera's table of the settings, then `systemctl reload edgewatch`:\n")
    console.print(Text(f'  [[cameras]]\n  name = "{tuning.camera}"\n  {tuning.toml}', style="bold"))


def _table(tuning: Tuning) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in ("threshold", "alerts a day", "events", "busy"):
        table.add_column(heading, justify="right", no_wrap=True)
    spoken = tuning.confirmed + tuning.refuted > 0
    for heading in ("kept", "missed", "false") if spoken else ():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    named = {tuning.proposal.outcome.threshold: "proposed", tuning.current: "now"}
    for run in _equal_runs(tuning.found):
        first, last = run[0], run[-1]
        marks = [
            f"{word} ({threshold:g})" if len(run) > 1 else word
            for threshold, word in named.items()
            if any(one.threshold == threshold for one in run)
        ]
        told = (first.hits, first.missed, first.false_left) if spoken else ()
        reach = f" to {last.threshold:g}" if len(run) > 1 else ""
        table.add_row(
            f"{first.threshold:g}{reach}",
            f"{first.alerts_a_day:.1f}",
            str(first.events),
            f"{first.busy_share:.1%}",
            *map(str, told),
            ", ".join(marks),
            style="bold" if marks else "",
        )
    return table


def _equal_runs(found: Sequence[Outcome]) -> list[list[Outcome]]:
    """Gather neighbours that mean the same."""
    runs: list[list[Outcome]] = []
    for one in found:
        if runs and replace(one, threshold=runs[-1][0].threshold) == runs[-1][0]:
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs
