"""Telling: what `edgewatch calibrate` found, on a terminal, as JSON, and as a small report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgewatch.tools.calibrating.choosing import Choice, Trial
from edgewatch.tools.calibrating.drawing import reliability_svg, text_line
from edgewatch.tools.calibrating.outcome import Outcome
from edgewatch.tools.calibrating.promises import alarms_words, figure, span
from edgewatch.tools.calibrating.reliability import Diagram
from edgewatch.tools.calibrating.wishes import Effect
from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.report import rounded, write_files
from edgewatch.tools.sheet import minute, render_sheet

BEFORE, AFTER = "As the engine scores", "Calibrated, on recordings left out"


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print everything; the file and what to do with it are the command's to tell."""
    for line in heading(outcome):
        console.print(Text(line), soft_wrap=True)
    if outcome.choice is not None:
        console.print(_methods(outcome.choice))
        console.print(Text(method_words(outcome)), soft_wrap=True)
    for title, one in panels(outcome):
        console.print(_reliability(title, one))
    if outcome.before is not None:
        legend = "| what was said, o what was, - its 95 % interval (recordings are the witnesses)"
        console.print(Text(legend, style="dim"), soft_wrap=True)
    if outcome.granted is not None:
        console.print(Text(f"\n{granted_words(outcome)}", style="bold"), soft_wrap=True)
    for line in effects(outcome):
        console.print(Text(line), soft_wrap=True)
    for line in warnings(outcome):
        console.print(Text(f"Warning: {line}", style="yellow"), soft_wrap=True)


def heading(outcome: Outcome) -> Iterator[str]:
    """Say what everything rests on."""
    counts = outcome.calibration.counts
    yield (
        f"{outcome.labelled.engine} on {outcome.labelled.source}: {counts.recordings} recordings "
        f"({counts.incident_recordings} with an incident), {counts.clips} clips "
        f"({counts.incident_clips} of an incident), {span(counts.normal_seconds / 86_400)} of "
        "footage without incident"
    )
    yield from (f"Note: {note}" for note in outcome.labelled.notes)


def method_words(outcome: Outcome) -> str:
    """Say which method was taken, and its numbers."""
    calibration, choice = outcome.calibration, outcome.choice
    why = f" ({choice.why})" if choice else ""
    match calibration.method:
        case "none":
            return f"Scores stay as they are{why}."
        case "temperature":
            return f"temperature {1.0 / calibration.slope:.3g}{why}."
        case "platt":
            line = f"slope {calibration.slope:.3g}, offset {calibration.offset:.3g} on the logit"
            return f"platt: {line}{why}."
    return (
        f"isotonic: {len(calibration.knots)} knots{why}. Its steps rise by a thousandth of the "
        "score, so that no two scores become equal."
    )


def panels(outcome: Outcome) -> list[tuple[str, Diagram]]:
    """Return the diagrams there are, each with its title."""
    both = ((BEFORE, outcome.before), (AFTER, outcome.after))
    return [(title, one) for title, one in both if one is not None]


def granted_words(outcome: Outcome) -> str:
    """Say which threshold was chosen, for what, and what it reached."""
    assert outcome.granted is not None
    chosen, effect = outcome.granted.chosen, outcome.granted.effect
    wish = (
        f"at most {chosen.wished:g} false alarms a day of one camera"
        if chosen.wish == "false_alarms_per_day"
        else f"a recall of {chosen.wished:g}"
    )
    return f"threshold = {chosen.threshold!r} for {wish}: {effect_words(effect)}"


def effects(outcome: Outcome) -> Iterator[str]:
    """Say what the thresholds in force become."""
    for one in outcome.moved:
        if outcome.calibration.method == "none":
            yield f"threshold {one.now:g} ({one.whose}): {effect_words(one.effect)}"
        else:
            yield (
                f"threshold {one.now:g} ({one.whose}) is {one.same:.4g} on calibrated scores: "
                f"{effect_words(one.effect)}"
            )


def effect_words(effect: Effect) -> str:
    """Write one threshold's effect: alarms, then recall, each with its interval."""
    parts = []
    if effect.normal_days:
        rate = _interval(effect.false_alarms_per_day, "a day")
        alarms = alarms_words(effect.false_alarms)
        parts.append(f"{alarms} in {span(effect.normal_days)} ({rate})")
    if effect.incidents:
        recall = _interval(effect.recall, "")
        parts.append(f"{effect.found} of {effect.incidents} incidents found ({recall})")
    return ", ".join(parts) or "nothing can be said of it"


def warnings(outcome: Outcome) -> list[str]:
    """Return all that a reader must not overlook."""
    of_wish = outcome.granted.warnings if outcome.granted else ()
    return [*of_wish, *outcome.warnings]


def document(outcome: Outcome, file: Path | None) -> dict[str, Any]:
    """Return what `--json` prints and summary.json holds; `file`: None: none was written."""
    choice, granted = outcome.choice, outcome.granted
    whole = {
        "schema": 1,
        "calibration": outcome.calibration.document(),
        "file": None if file is None else str(file),
        "source": outcome.labelled.source,
        "notes": list(outcome.labelled.notes),
        "warnings": warnings(outcome),
        "methods": [] if choice is None else [_trial(one) for one in choice.trials],
        "folds": None if choice is None else choice.folds,
        "why": None if choice is None else choice.why,
        "reliability": {
            "before": outcome.before and asdict(outcome.before),
            "after": outcome.after and asdict(outcome.after),
        },
        "threshold": None if granted is None else asdict(granted.effect),
        "thresholds_in_force": [asdict(one) for one in outcome.moved],
    }
    plain: dict[str, Any] = json.loads(json.dumps(whole, allow_nan=False))
    # The calibration's numbers stay whole: rounding them would make it another one.
    return {key: one if key == "calibration" else rounded(one) for key, one in plain.items()}


def write_report(outcome: Outcome, file: Path | None, folder: Path) -> Path:
    """Write report.html, reliability.svg and summary.json; return the page. Raises ConfigError."""
    drawing = reliability_svg(panels(outcome))
    page = render_sheet(
        "calibrating/page.html",
        {
            "engine": outcome.labelled.engine,
            "finished": minute(outcome.calibration.fitted_seconds),
            "heading": list(heading(outcome)),
            "method": method_words(outcome),
            "drawing": drawing,
            "trials": outcome.choice.trials if outcome.choice else (),
            "chosen": outcome.calibration.method,
            "panels": panels(outcome),
            "granted": granted_words(outcome) if outcome.granted else "",
            "effects": list(effects(outcome)),
            "warnings": warnings(outcome),
            "file": "" if file is None else str(file),
        },
        {"estimate": lambda one: _interval(one, "")},
    )
    text = json.dumps(document(outcome, file), indent=2, allow_nan=False)
    write_files(
        folder,
        {"report.html": (page,), "reliability.svg": (drawing,), "summary.json": (text, "\n")},
    )
    return folder / "report.html"


def _methods(choice: Choice) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", no_wrap=True)
    table.add_column("log loss, left out", justify="right", no_wrap=True)
    table.add_column("")
    for one in choice.trials:
        taken = one.method == choice.method
        note = "taken" if taken else one.reason and f"not tried: {one.reason}"
        loss = "" if one.log_loss is None else f"{one.log_loss:.4f}"
        spread = f" ± {one.error:.4f} to the best" if one.error else ""
        table.add_row(one.method, loss, f"{note}{spread}", style="bold" if taken else "")
    return table


def _reliability(title: str, shown: Diagram) -> Table:
    caption = (
        f"calibration error {shown.error:.3f}, Brier score {shown.brier:.3f}, log loss "
        f"{shown.log_loss:.4f}"
    )
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", caption=caption,
        caption_justify="left",
    )  # fmt: skip
    for name in ("clips", "said", "was"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("0" + "0.5".center(39) + "1", no_wrap=True)
    for one in shown.bins:
        was = "" if one.was.value is None else f"{one.was.value:.2f}"
        table.add_row(str(one.clips), f"{one.said:.3f}", was, text_line(one))
    return table


def _trial(one: Trial) -> dict[str, object]:
    return {
        "method": one.method,
        "log_loss": one.log_loss,
        "error_to_best": one.error,
        "not_tried": one.reason or None,
    }


def _interval(estimate: Estimate, unit: str) -> str:
    if estimate.value is None:
        return estimate.reason
    unit = f" {unit}" if unit else ""
    if estimate.low is None or estimate.high is None:
        return f"{figure(estimate.value)}{unit}, {estimate.reason}"
    low, high = figure(estimate.low), figure(estimate.high)
    return f"{figure(estimate.value)}{unit}, 95 % interval {low} to {high}"
