"""`edgewatch evaluate --task`: its options, and what is done with them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import load_settings
from edgewatch.daemon.exits import EX_FAILED, EX_OK
from edgewatch.tools.evaluation.choice import read_choices
from edgewatch.tools.journal_file import journal_path, start_over
from edgewatch.tools.report import prepare_folder
from edgewatch.tools.vqa.pictures import SIDE, need_pillow
from edgewatch.tools.vqa.questions import TASKS, WORDINGS
from edgewatch.tools.vqa.reading import read_task
from edgewatch.tools.vqa.report import print_task, task_summary, write_task
from edgewatch.tools.vqa.respondent import MOST_TOKENS
from edgewatch.tools.vqa.running import run_task

JOURNAL = "replies.jsonl"
"""In the report's folder, beside the journal of recordings that may be there too."""
LARGEST_PIXELS = 4_000_000
LARGEST_TOKENS = 2048
_OF_A_TASK = ("data", "limit", "pixels", "wording", "reply_tokens")
_OF_RECORDINGS = ("dataset", "labels", "camera", "in_turn", "spool", "question_orders")

TASK_EPILOG = """\
questions about pictures, with --task and without DATASET:
  edgewatch evaluate --task vqav2 --data vqa/ --engine transformers:/models/x --report out
  edgewatch evaluate --task mme --data MME_Benchmark_release_version/ --engine remote:http://h:8000/v1
  edgewatch evaluate --task ai2d --data ai2d/ --engine transformers:/models/x --limit 200
"""


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of tasks to those of `edgewatch evaluate`."""
    group = parser.add_argument_group("questions about pictures (instead of DATASET)")
    group.add_argument("--task", choices=TASKS, help="which data set of questions")
    group.add_argument("--data", type=Path, metavar="DIR", help="folder of its local copy")
    group.add_argument("--limit", type=_count, metavar="N", help="ask only the first N questions")
    group.add_argument(
        "--pixels",
        type=_pixels,
        metavar="SIZE",
        help="most pixels of a picture: model (its own limit, the default), clips ([clips] "
        "pixels), or a number",
    )
    group.add_argument(
        "--wording",
        choices=WORDINGS,
        help="how questions are put: as the data set's own tools do (the default), or as "
        "TensorRT-LLM's eval.py, to compare with its figures",
    )
    group.add_argument(
        "--reply-tokens",
        type=_tokens,
        metavar="N",
        help=f"most tokens of a reply; default {MOST_TOKENS}; more for a model that thinks first",
    )


def check_task_options(options: argparse.Namespace) -> None:
    """Let options pass that go together. Raises ConfigError."""
    if options.task is None:
        given = _given(options, _OF_A_TASK)
        if given:
            raise ConfigError(f"{given} goes with --task, which is not given")
        if options.dataset is None:
            raise ConfigError(
                "name a DATASET of recordings, or --task vqav2|mme|ai2d with --data DIR"
            )
        return
    given = _given(options, _OF_RECORDINGS)
    if given:
        raise ConfigError(f"{given} goes with recordings and not with --task; leave it out")
    if options.data is None:
        raise ConfigError(f"--task {options.task} needs --data DIR, the folder of its local copy")


def evaluate_task(options: argparse.Namespace) -> int:
    """Ask, measure, write, print; returns the exit code. Raises ConfigError, EngineFailed."""
    need_pillow()
    choices = read_choices(options.engine, load_settings(options.config))
    data = read_task(
        options.task, options.data, wording=options.wording or "official", limit=options.limit
    )
    if options.report:
        prepare_folder(options.report)
    journal = journal_path(options.journal, options.report, JOURNAL)
    if journal and options.anew:
        start_over(journal)
    result = run_task(
        data,
        choices,
        pixels=options.pixels or "model",
        most_tokens=options.reply_tokens or MOST_TOKENS,
        journal=journal,
        shown=sys.stderr.isatty() and not options.json,
        seed=options.seed,
    )
    page = write_task(result, options.report) if options.report else None
    if options.json:
        print(json.dumps(task_summary(result), allow_nan=False))
    else:
        console = Console()
        print_task(console, result)
        if page:
            console.print(f"report: {page}", highlight=False, soft_wrap=True, markup=False)
    return EX_FAILED if any(run.unanswered for run in result.runs) else EX_OK


def _given(options: argparse.Namespace, names: tuple[str, ...]) -> str:
    """Return the first of these that was given, as it is written on the command line."""
    for name in names:
        if getattr(options, name, None) not in (None, False):
            return "DATASET" if name == "dataset" else f"--{name.replace('_', '-')}"
    return ""


def _count(text: str) -> int:
    return _between(text, 1, 100_000_000)


def _tokens(text: str) -> int:
    return _between(text, 1, LARGEST_TOKENS)


def _pixels(text: str) -> str | int:
    return text if text in ("model", "clips") else _between(text, SIDE * SIDE, LARGEST_PIXELS)


def _between(text: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
    return value
