"""Report of an evaluation: a page, two spreadsheets, a summary and Markdown in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edgewatch.tools.evaluation.evaluation import Evaluation
from edgewatch.tools.evaluation.reporting.markdown import markdown
from edgewatch.tools.evaluation.reporting.report_page import render_evaluation
from edgewatch.tools.evaluation.reporting.spreadsheets import clips_csv, recordings_csv
from edgewatch.tools.evaluation.reporting.summary import summary
from edgewatch.tools.evaluation.reporting.terminal import print_evaluation
from edgewatch.tools.evaluation.statistics.figures import EngineMeasures, PairComparison
from edgewatch.tools.evaluation.statistics.orders import OrderComparison
from edgewatch.tools.report import write_files

__all__ = ["print_evaluation", "summary", "write_evaluation"]


def write_evaluation(
    evaluation: Evaluation,
    measures: Sequence[EngineMeasures],
    comparisons: Sequence[PairComparison],
    folder: Path,
    *,
    orders: Sequence[OrderComparison] = (),
) -> Path:
    """Write report.html, report.md, clips.csv, recordings.csv and summary.json; return the page.

    Each is there whole or not at all. `measures`: of each run, in their order; `orders`: of each
    engine that was asked in both (into the summary and report.md). Raises ConfigError if the folder
    cannot be written.
    """
    known = evaluation, measures, comparisons
    write_files(
        folder,
        {
            "clips.csv": clips_csv(evaluation),
            "recordings.csv": recordings_csv(evaluation),
            "summary.json": (
                json.dumps(summary(*known, orders=orders), indent=2, allow_nan=False),
                "\n",
            ),
            "report.md": markdown(*known, orders=orders),
            "report.html": (render_evaluation(*known),),
        },
    )
    return folder / "report.html"
