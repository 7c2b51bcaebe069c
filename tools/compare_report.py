"""Comparison's report: a page that needs nothing else, its figures, and a report of each side."""

from __future__ import annotations

import json
from pathlib import Path

from edgewatch.tools.compare_table import METRICS, figure_text, shown, summed_up
from edgewatch.tools.comparison import Comparison, alerts, document
from edgewatch.tools.report import write_files, write_report
from edgewatch.tools.results import notes
from edgewatch.tools.sheet import minute, render_sheet
from edgewatch.tools.timeline import draw

MOST_STEPS = 120
"""Drawn of one recording."""
MOST_DRAWN = 300
"""Recordings with a plot: the changed ones first."""


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write compare.html, comparison.json and both reports (a/, b/); return the page's path.

    Raises ConfigError if the folder cannot be written.
    """
    write_report(comparison.first, folder / "a")
    write_report(comparison.second, folder / "b")
    data = json.dumps(document(comparison), indent=2, allow_nan=False)
    write_files(folder, {"comparison.json": (data, "\n"), "compare.html": (render(comparison),)})
    return folder / "compare.html"


def render(comparison: Comparison) -> str:
    """Return the page: no request but for the links to both reports, no script."""
    pairs = sorted(comparison.pairs, key=lambda one: one.change is None)
    sides = comparison.first, comparison.second
    values = {
        "comparison": comparison,
        "pairs": [
            (
                pair,
                *(
                    draw(one, max_steps=MOST_STEPS) if number < MOST_DRAWN else None
                    for one in (pair.first, pair.second)
                ),
            )
            for number, pair in enumerate(pairs)
        ],
        "totals": [
            ("Events", *(replay.events for replay in sides)),
            ("Alerts (sent)", *(alerts(replay) for replay in sides)),
            ("Clips judged", *(replay.clips for replay in sides)),
            ("Engine", *(replay.engine for replay in sides)),
        ],
        "metrics": [
            (name, *(figure_text(figure(replay.statistics[0])) for replay in sides))
            for name, figure in METRICS.items()
            if all(replay.statistics for replay in sides)
        ],
        "notes": notes(comparison.first),
        "summary": summed_up(comparison),
        "finished": minute(comparison.first.finished_seconds),
    }
    return render_sheet("compare.html", values, {"shown": shown})
