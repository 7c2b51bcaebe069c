"""`edgewatch calibrate`: makes an engine's scores probabilities, and chooses its threshold."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.text import Text

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import load_settings
from edgewatch.daemon.exits import EX_CONFIG, EX_FAILED, EX_OK, EX_TEMPFAIL
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.engines.calibration import Method
from edgewatch.pipeline.engines.calibration_file import write_calibration
from edgewatch.pipeline.errors import EngineFailed, StoreError
from edgewatch.pipeline.tuning import DAY_SECONDS
from edgewatch.pipeline.watch import rules_of
from edgewatch.tools.calibrating.choosing import TooLittle
from edgewatch.tools.calibrating.outcome import Outcome, calibrated
from edgewatch.tools.calibrating.sources import Subject, subject_of
from edgewatch.tools.calibrating.telling import document, print_outcome, write_report
from edgewatch.tools.calibrating.wishes import Wish
from edgewatch.tools.report import prepare_folder
from edgewatch.tools.times import HELP, joined, parse_time

DESCRIPTION = """\
Fit what makes an engine's scores probabilities: temperature, Platt's line or an isotonic map,
whichever holds on recordings left out of the fit; the simpler where they are within noise. Choose
the threshold for so many false alarms a day, or for so much recall, by the camera's event rules,
and say what so many recordings can promise. Write it where the engine looks for it at its start.

The scores come from labelled recordings that are judged now, from an evaluation that was made
before, or from what people said of events.
"""
EPILOG = """\
examples:
  edgewatch calibrate rides/ --false-alarms-per-day 1          the engine of the settings
  edgewatch calibrate rides/ --labels rides.csv --engine transformers:/models/x --recall 0.9
  edgewatch calibrate --evaluation out/ --report cal/          what `edgewatch evaluate` left there
  edgewatch calibrate --feedback --camera front --since -14d   from `edgewatch feedback`
  edgewatch calibrate rides/ --method none --false-alarms-per-day 1    a threshold alone

exit codes: 0 written (or --dry-run), 1 too little to go by, 75 the engine could not start,
78 settings wrong. See docs/calibrate.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    now_seconds = time.time()
    options = _parsed(joined(sys.argv[1:] if argv is None else argv), now_seconds)
    configure_logs(default="error", stream=sys.stderr)
    try:
        return _run(options, now_seconds)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    except EngineFailed as error:
        sys.stderr.write(f"edgewatch calibrate: {error}\n")
        return EX_TEMPFAIL
    except (TooLittle, StoreError) as error:
        sys.stderr.write(f"edgewatch calibrate: {error}\n")
        return EX_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("edgewatch calibrate: interrupted; nothing was written\n")
        return EX_FAILED


def _run(options: argparse.Namespace, now_seconds: float) -> int:
    settings = load_settings(options.config)
    if options.report:
        prepare_folder(options.report)
    if options.journal and options.anew:
        _remove(options.journal)
    subject = subject_of(options, settings, now_seconds)
    file = None if options.dry_run else options.output or subject.file
    if file is not None:
        _check_writable(file)
    labelled = subject.read()
    outcome = calibrated(
        labelled,
        rules_of(subject.plan),
        method=options.method,
        wish=_wish(options),
        thresholds=subject.thresholds(labelled.engine),
        now_seconds=now_seconds,
    )
    kept = None if file is None else _written(outcome, file)
    page = write_report(outcome, file, options.report) if options.report else None
    if options.json:
        print(json.dumps(document(outcome, file), allow_nan=False))
        return EX_OK
    console = Console(highlight=False)
    print_outcome(outcome, console)
    for line in _next_steps(outcome, subject, file, kept):
        console.print(Text(line), soft_wrap=True)
    if page:
        console.print(f"report: {page}", soft_wrap=True)
    return EX_OK


def _remove(journal: Path) -> None:
    """Forget what was judged before. Raises ConfigError."""
    try:
        journal.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{journal}: cannot be removed: {error.strerror or error}") from error


def _written(outcome: Outcome, file: Path) -> Path | None:
    """Write the file. Raises ConfigError."""
    try:
        return write_calibration(outcome.calibration, file)
    except OSError as error:
        raise _unwritable(file, error.strerror or str(error)) from error


def _check_writable(file: Path) -> None:
    """See that the file can be written, before hours of judging. Raises ConfigError."""
    folder = file.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(file, f"{folder} may not be written to by this user")


def _unwritable(file: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"{file}: the calibration cannot be written there: {reason}; run this as the daemon's "
        "user, or name another file with --output and in [engine] calibration"
    )


def _wish(options: argparse.Namespace) -> Wish | None:
    if options.false_alarms_per_day is not None:
        return Wish("false_alarms_per_day", options.false_alarms_per_day)
    return None if options.recall is None else Wish("recall", options.recall)


def _next_steps(
    outcome: Outcome, subject: Subject, file: Path | None, kept: Path | None
) -> Sequence[str]:
    """Say what was written, and what has to be set with it."""
    calibration = outcome.calibration
    lines = ["", "Nothing was written (--dry-run)." if file is None else f"Written: {file}"]
    if kept is not None:
        lines.append(f"The calibration before it is kept for `edgewatch verify`: {kept}")
    changes = calibration.method != "none"
    if changes:
        lines.append(
            f"From the engine's next start on, verdicts name {calibration.name}, and every "
            "threshold means its calibrated scores. Set at the same time:"
        )
    own = outcome.granted.chosen.threshold if outcome.granted else None
    if own is not None or changes:
        first = f"{outcome.moved[0].same:.4g}" if own is None else repr(own)
        lines.append(f"  [engine] threshold = {first}")
    if changes:
        lines += [f"  {one.whose}: threshold = {one.same:.4g}" for one in outcome.moved[1:]]
    if file is not None and changes and not subject.is_loaded_from(file):
        lines.append(f'  [engine] calibration = "{file}"')
    elif file is not None and changes:
        lines.append('To leave it aside again: [engine] calibration = "none".')
    return lines


def _parsed(arguments: Sequence[str], now_seconds: float) -> argparse.Namespace:
    parser = _parser(now_seconds)
    options = parser.parse_args(arguments)
    sources = [options.dataset is not None, options.evaluation is not None, options.feedback]
    if sum(sources) != 1:
        parser.error("name one source of scores: a DATASET, --evaluation DIR or --feedback")
    if options.feedback and options.engine:
        parser.error("--feedback takes the engine whose scores are on record: leave out --engine")
    if options.dataset is None and (options.labels or options.journal or options.anew):
        parser.error("--labels, --journal and --anew go with a DATASET")
    return options


def _parser(now_seconds: float) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch calibrate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def moment(text: str) -> float:
        try:
            return parse_time(text, now_seconds)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    add = parser.add_argument
    add("dataset", nargs="?", type=Path, metavar="DATASET", help="as for edgewatch evaluate")
    add("--labels", type=Path, metavar="CSV", help="what the recordings show")
    add("--evaluation", type=Path, metavar="DIR", help="what edgewatch evaluate --report wrote")
    add("--feedback", action="store_true", help="what people said of events on record")
    add(
        "--engine",
        metavar="ENGINE",
        help="as for edgewatch evaluate; default: the engine of the settings; with --evaluation: "
        "which of its engines",
    )
    add("--camera", metavar="NAME", help="whose event rules and prompt count; --feedback: of whom")
    add(
        "--since",
        metavar="TIME",
        type=moment,
        default=now_seconds - 14 * DAY_SECONDS,
        help=f"--feedback: from when on: {HELP}; default: 14 days ago",
    )
    add("--anew", action="store_true", help="forget the journal, judge everything")
    add(
        "--journal", type=Path, metavar="FILE", help="as for edgewatch evaluate: go on after a kill"
    )
    add(
        "--method",
        type=_method,
        metavar="METHOD",
        help="auto (the default), none, temperature, platt or isotonic",
    )
    wish = parser.add_mutually_exclusive_group()
    wish.add_argument(
        "--false-alarms-per-day",
        type=_alarms,
        metavar="X",
        help="choose the lowest threshold with at most so many, of one camera",
    )
    wish.add_argument(
        "--recall",
        type=_recall,
        metavar="Y",
        help="choose the highest threshold that finds so much",
    )
    add("--output", type=Path, metavar="FILE", help="default: where the engine looks for it")
    add("--dry-run", action="store_true", help="write no calibration")
    add(
        "--report", type=Path, metavar="DIR", help="write report.html, its drawing and summary.json"
    )
    add("--json", action="store_true", help="print one JSON document")
    add("--config", type=Path, metavar="FILE", help="settings; default as for run")
    return parser


def _method(text: str) -> Method | None:
    if text == "auto":
        return None
    for method in get_args(Method):
        if text == method:
            found: Method = method
            return found
    raise argparse.ArgumentTypeError(f"{text!r} is none of auto, {', '.join(get_args(Method))}")


def _alarms(text: str) -> float:
    return _number(text, 0.0, 100_000.0)


def _recall(text: str) -> float:
    return _number(text, 1e-6, 1.0)


def _number(text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {low:g} to {high:g}")
    return number


if __name__ == "__main__":
    sys.exit(main())
