"""What a task leaves in a folder (answers.csv, summary.json, summary.md) and on a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edgewatch.pipeline.messages import SCHEMA, iso_utc
from edgewatch.tools.evaluation.reporting.spreadsheets import safe
from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.report import DECIMALS, write_files
from edgewatch.tools.vqa.results import UPSTREAM_WARNING, TaskFigure, TaskResult, TaskRun
from edgewatch.tools.vqa.scoring import UPSTREAM
from edgewatch.tools.vqa.wording import wording_said

Json = dict[str, Any]

RULES = {
    "vqav2": "VQAv2's official tool on cleaned replies: mean over leaving out each of ten people "
    "of min(1, others who said the same / 3)",
    "mme": "MME's official tool: accuracy by question, accuracy+ by picture (both questions "
    "right); a category's score is the sum of both x 100",
    "ai2d": "the option that is named, by its letter, its exact text or its number",
}
_SHOWN_KINDS = ("all", "total", "category", "answer type")
"""Of these a terminal shows figures; the files have all."""


def write_task(result: TaskResult, folder: Path) -> Path:
    """Write the three files, each whole or not at all; return the summary's path.

    Raises ConfigError if the folder cannot be written.
    """
    import json

    write_files(
        folder,
        {
            "answers.csv": answers_csv(result),
            "summary.json": (json.dumps(task_summary(result), indent=2, allow_nan=False), "\n"),
            "summary.md": (markdown(result),),
        },
    )
    return folder / "summary.md"


def task_summary(result: TaskResult) -> Json:
    """Return what summary.json holds, and what `--json` prints."""
    data = result.data
    return {
        "schema": SCHEMA,
        "finished": iso_utc(result.finished_seconds),
        "task": data.task,
        "data": data.name,
        "layout": data.layout,
        "rule": RULES[data.task],
        "upstream_rule": UPSTREAM_WARNING,
        "asked_as": wording_said(data.task, data.wording),
        "example": data.questions[0].asked,
        "questions": len(data.questions),
        "questions_available": data.available,
        "limited": data.limited,
        "notes": list(result.notes),
        "engines": [_run(run) for run in result.runs],
    }


def answers_csv(result: TaskResult) -> Iterator[str]:
    """Yield answers.csv line by line: each question, what was right, what engines replied."""
    kinds = [name for name, _ in result.data.questions[0].kinds]
    yield _line(
        [
            *("question_id", "picture", *kinds, "question", "right"),
            *(
                f"{column} {run.name}"
                for run in result.runs
                for column in ("reply", "read_as", "worth", "upstream", "seconds")
            ),
        ]
    )
    for place, question in enumerate(result.data.questions):
        cells: list[str] = [question.id, question.picture.name]
        cells += [question.kind(name) for name in kinds]
        cells += [question.question, " | ".join(question.references)]
        for run in result.runs:
            reply, worth = run.replies[place], run.worths[place]
            cells += ["" if reply.text is None else reply.text, worth.read_as]
            cells += [f"{worth.value:.4g}", "1" if worth.upstream else "0"]
            cells.append("" if reply.text is None else f"{reply.seconds:.3f}")
        yield _line(cells)


def markdown(result: TaskResult) -> str:
    """Return summary.md."""
    data = result.data
    lines = [
        f"# {data.task} on {data.name}",
        "",
        f"- data: {data.layout}, {len(data.questions)} of {data.available} questions",
        f"- asked: {wording_said(data.task, data.wording)}",
        f"- rule: {RULES[data.task]}",
        *(
            f"- {run.name}: {run.engine}; pictures: {run.pictures}; replies of at most "
            f"{run.most_tokens} tokens{_times(run)}"
            for run in result.runs
        ),
        *(f"- note: {note}" for note in result.notes),
        "",
        "| figure | questions | " + " | ".join(_cell(run.name) for run in result.runs) + " |",
        "|---|---|" + "---|" * len(result.runs),
    ]
    for rows in _rows(result.runs):
        figure = rows[0]
        told = " | ".join(_told(one) for one in rows)
        lines.append(f"| {_cell(_name(figure))} | {figure.questions} | {told} |")
    return "\n".join([*lines, "", f"Intervals are of 95 %. {UPSTREAM_WARNING}", ""])


def print_task(console: Console, result: TaskResult) -> None:
    """Print the figures that matter most, and all notes."""
    data = result.data
    table = Table(title=f"{data.task}: {data.name}", title_justify="left")
    table.add_column("figure")
    table.add_column("questions", justify="right")
    for run in result.runs:
        table.add_column(run.name, justify="right")
    for rows in _rows(result.runs):
        if rows[0].group in _SHOWN_KINDS:
            table.add_row(_name(rows[0]), str(rows[0].questions), *(_told(one) for one in rows))
    console.print(table, markup=False)
    for line in (
        f"asked: {wording_said(data.task, data.wording)}",
        *(f"{run.name}: pictures: {run.pictures}{_times(run)}" for run in result.runs),
        *(f"note: {note}" for note in result.notes),
        UPSTREAM_WARNING,
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _rows(runs: Sequence[TaskRun]) -> Iterator[tuple[TaskFigure, ...]]:
    """Yield the same figure of all engines."""
    yield from zip(*(run.figures for run in runs), strict=True)


def _name(figure: TaskFigure) -> str:
    if figure.group == "all":
        return figure.measure
    return f"{figure.name}: {figure.measure}"


def _told(figure: TaskFigure) -> str:
    estimate = figure.estimate
    if estimate.value is None:
        return "n/a"
    scale, digits = (100.0, 1) if figure.most <= 1 else (1.0, 1)
    unit = " %" if figure.most <= 1 else f" of {figure.most:g}"
    told = f"{scale * estimate.value:.{digits}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return told
    return f"{told} ({scale * estimate.low:.{digits}f} to {scale * estimate.high:.{digits}f})"


def _times(run: TaskRun) -> str:
    mean = run.mean_seconds
    return "" if mean is None else f"; {mean:.2f} s a reply, loaded in {run.load_seconds:.1f} s"


def _run(run: TaskRun) -> Json:
    mean = run.mean_seconds
    return {
        "name": run.name,
        "engine": run.engine,
        "simulated": run.simulated,
        "pictures": run.pictures,
        "most_tokens": run.most_tokens,
        "load_seconds": round(run.load_seconds, 3),
        "wall_seconds": round(run.wall_seconds, 3),
        "asked_now": run.asked_now,
        "unanswered": run.unanswered,
        "mean_reply_seconds": None if mean is None else round(mean, 4),
        "figures": [_figure(one) for one in run.figures],
    }


def _figure(one: TaskFigure) -> Json:
    return {
        "group": one.group,
        "name": one.name,
        "measure": one.measure,
        "rule": "upstream" if one.measure == UPSTREAM else "official",
        "most": one.most,
        "questions": one.questions,
        "pictures": one.pictures,
        **_estimate(one.estimate),
    }


def _estimate(estimate: Estimate) -> Json:
    return {
        "value": _rounded(estimate.value),
        "low": _rounded(estimate.low),
        "high": _rounded(estimate.high),
        "reason": estimate.reason,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([safe(cell) for cell in cells])  # RFC 4180: lines end with CR LF
    return out.getvalue()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
