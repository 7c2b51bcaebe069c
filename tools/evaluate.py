"""`edgewatch evaluate`: how good engines are on labelled recordings, side by side."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from rich.console import Console

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import load_settings
from edgewatch.daemon.exits import EX_CONFIG, EX_FAILED, EX_OK, EX_TEMPFAIL
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.evaluation.choice import read_choices
from edgewatch.tools.evaluation.dataset import read_dataset
from edgewatch.tools.evaluation.evaluation import Evaluation
from edgewatch.tools.evaluation.question_orders import compared_orders, in_both_orders
from edgewatch.tools.evaluation.reporting.report import print_evaluation, summary, write_evaluation
from edgewatch.tools.evaluation.running import GIB, SPOOL_GIB, Turns, evaluate
from edgewatch.tools.evaluation.statistics.measures import compare_runs, measure_run
from edgewatch.tools.evaluation.statistics.orders import sentences as order_sentences
from edgewatch.tools.journal_file import journal_path, start_over
from edgewatch.tools.report import prepare_folder
from edgewatch.tools.vqa.command import (
    TASK_EPILOG,
    add_task_options,
    check_task_options,
    evaluate_task,
)

JOURNAL = "journal.jsonl"
INTERRUPTED = 130
"""What shells call the end by Ctrl-C."""

DESCRIPTION = """\
Judge labelled recordings with one or several engines, and say how good each is: accuracy, F1, ROC
and PR areas with 95 % intervals, detection delay, false alarms an hour, calibration, latency,
memory, energy; for several engines also where and how much they differ. Each recording is decoded
once, however many engines judge it.
"""
EPILOG = """\
data sets:
  a folder of recordings with one CSV of columns file,label and optionally camera, drive, view,
  anomaly_start_s, anomaly_end_s; or file names that begin with Anom_ or Norm_. Folders named
  front, left, right, rear, ... below one folder are views of one drive and count once.
engines, each [NAME=]ENGINE[,key=value...] with keys of [engine]:
  builtin                                    the engine that needs no model
  transformers:/models/Cosmos-Reason1-7B     a checkpoint; tensorrt:... likewise
  remote:http://host:8000/v1                 a server with OpenAI's interface
  other.toml                                 the [engine] section of a settings file
examples:
  edgewatch evaluate rides/ --engine builtin --report out
  edgewatch evaluate rides/ --engine full=transformers:/models/x \\
      --engine int8=transformers:/models/x,quantize=int8 --report out --in-turn
An evaluation that was interrupted, even by kill -9, goes on where it was when the same command is
given again, and ends with the same result; other labels, thresholds or event rules judge nothing
anew. docs/evaluate.md tells how to read the figures.
exit codes: 0 all judged, 1 some recordings were left out (the others are judged), 75 an engine
failed, 78 data set or settings wrong, 130 interrupted.
"""


PIPED_COLUMNS = 140


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    try:
        return _run(options)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    except EngineFailed as error:
        sys.stderr.write(f"edgewatch evaluate: {error}{_goes_on(options)}\n")
        return EX_TEMPFAIL
    except KeyboardInterrupt:
        sys.stderr.write(f"edgewatch evaluate: interrupted{_goes_on(options)}\n")
        return INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    check_task_options(options)
    _need_statistics()
    if options.task:
        return evaluate_task(options)
    base = load_settings(options.config)
    choices = read_choices(options.engine, base)
    if options.question_orders:
        choices = in_both_orders(choices)
    dataset = read_dataset(options.dataset, options.labels)
    if options.report:
        prepare_folder(options.report)
    journal = _journal(options)
    if journal and options.anew:
        start_over(journal)
    evaluation = evaluate(
        dataset,
        choices,
        journal=journal,
        shown=sys.stderr.isatty() and not options.json,
        camera=options.camera,
        turns=_turns(options),
    )
    _tell(evaluation, options)
    return EX_FAILED if evaluation.failed else EX_OK


def _need_statistics() -> None:
    """See that the libraries are there: before hours of judging, and without loading them.

    Raises ConfigError.
    """
    for name in ("sklearn", "scipy"):
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                "evaluate needs scikit-learn and scipy: pip install 'edgewatch[evaluate]'"
            )


def _tell(evaluation: Evaluation, options: argparse.Namespace) -> None:
    """Measure, write, print."""
    measures = [measure_run(run, seed=options.seed) for run in evaluation.runs]
    pairs = [compare_runs(first, second) for first, second in combinations(evaluation.runs, 2)]
    orders = compared_orders(evaluation, seed=options.seed)
    known = evaluation, measures, pairs
    page = write_evaluation(*known, options.report, orders=orders) if options.report else None
    if options.json:
        print(json.dumps(summary(*known, orders=orders), allow_nan=False))
        return
    # Into a file or a pipe tables need not be folded into the 80 columns that are rich's guess.
    console = Console() if sys.stdout.isatty() else Console(width=PIPED_COLUMNS)
    print_evaluation(console, *known)
    for one in orders:
        console.print("\n" + "\n".join(order_sentences(one)), highlight=False, markup=False)
    if page:
        console.print(f"report: {page}", highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch evaluate",
        description=DESCRIPTION,
        epilog=EPILOG.replace("An evaluation that", f"{TASK_EPILOG}An evaluation that", 1),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "dataset",
        type=Path,
        nargs="?",
        metavar="DATASET",
        help="a folder of recordings, or a label CSV",
    )
    parser.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="ENGINE",
        help="an engine to evaluate; again for more. Default: the one of the settings",
    )
    parser.add_argument("--labels", type=Path, metavar="CSV", help="what the recordings show")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings; default as for run")
    parser.add_argument("--camera", metavar="NAME", help="judge as this configured camera would be")
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write report.html, report.md, CSV, JSON here"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help=f"what was judged, to go on after an interruption; default: {JOURNAL} in --report",
    )
    parser.add_argument("--anew", action="store_true", help="forget the journal, judge everything")
    parser.add_argument(
        "--in-turn",
        action="store_true",
        help="engines that do not fit into memory together: one after the other, from a spool",
    )
    parser.add_argument(
        "--spool", type=Path, metavar="DIR", help="folder of the spool; default: the system's"
    )
    parser.add_argument(
        "--spool-gib",
        type=_gibibytes,
        default=SPOOL_GIB,
        metavar="GIB",
        help=f"most that the spool may take; default {SPOOL_GIB:g} (an hour of footage is about 3)",
    )
    parser.add_argument(
        "--question-orders",
        action="store_true",
        help="ask each model in both orders, question behind the video and before it, and say "
        "which to set as [engine] question_first",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the bootstrap's random numbers"
    )
    add_task_options(parser)
    return parser


def _gibibytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.001 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no size in GiB")
    return value


def _turns(options: argparse.Namespace) -> Turns | None:
    if not options.in_turn:
        return None
    if options.spool is not None and not options.spool.is_dir():
        raise ConfigError(f"--spool {options.spool}: is no folder; make it, or name another")
    return Turns(options.spool, int(options.spool_gib * GIB))


def _journal(options: argparse.Namespace) -> Path | None:
    return journal_path(options.journal, options.report, JOURNAL)


def _goes_on(options: argparse.Namespace) -> str:
    if _journal(options) is None:
        return "; with --report or --journal, what was judged would have been kept"
    return "; give the same command again to go on"


if __name__ == "__main__":
    sys.exit(main())
