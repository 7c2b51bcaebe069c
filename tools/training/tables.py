"""Tables: what a training found, for people on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.training.footage_trial import Trial
from edgewatch.tools.training.scoring import ALL, SCORERS
from edgewatch.tools.training.training import Figures, KindOutcome, Outcome


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print how each kind of camera came out."""
    for kind in outcome.kinds:
        console.print(
            f"{kind.camera_kind} cameras: {kind.choice.name}, chosen by leaving one of "
            f"{kind.cameras} cameras out; clips: "
            + ", ".join(f"{count} {role}" for role, count in kind.clips.items())
            + f"; tried: {tried(kind)}",
            markup=False,
        )
        console.print(_figures("training cameras, each left out in turn", kind.left_out))
        if kind.held_out:
            console.print(_figures("cameras never trained on", kind.held_out))
    if not outcome.kinds:
        console.print("nothing was trained: no kind of camera had incidents and normal clips")


def tried(kind: KindOutcome) -> str:
    """Return the areas of all ways of fitting, in words."""
    return ", ".join(f"{name} {area:.3f}" for name, area in kind.tried.items() if area is not None)


def print_trial(trial: Trial, verdicts: Mapping[str, tuple[bool, str]], console: Console) -> None:
    """Print what labelled recordings say, and whether anything beats what is there."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="labelled recordings")
    for heading in ("cameras", "scorer"):
        table.add_column(heading)
    for heading in ("recordings", "AUC", "before the incident", "inside a recording"):
        table.add_column(heading, justify="right")
    for one in trial.figures:
        table.add_row(
            one.group or "all",
            one.scorer,
            f"{one.anomalous} + {one.normal}",
            spoken(one.area),
            spoken(one.pre_incident.probability),
            spoken(one.ranking.probability),
        )
    console.print(table)
    if trial.known:
        names = ", ".join(trial.known)
        console.print(f"left out, as it shows what was trained on: {names}", markup=False)
    if trial.failed:
        console.print(f"gave no clip: {', '.join(trial.failed)}", markup=False)
    for name, (won, why) in verdicts.items():
        said = "beats the hand-set fusion here" if won else f"does not win: {why}"
        console.print(f"{name}: {said}", markup=False)


def spoken(estimate: Estimate) -> str:
    """Return a figure with its interval, or a dash."""
    if estimate.value is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _figures(title: str, figures: Figures) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=f"{title}: AUC, and the share above its twin"
    )
    table.add_column("incident", no_wrap=True, min_width=15)
    table.add_column("n", justify="right", no_wrap=True)
    for scorer in SCORERS:
        table.add_column(scorer, justify="right", no_wrap=True)
        table.add_column("twin", justify="right", no_wrap=True)
    for rows in zip(*(figures[scorer] for scorer in SCORERS), strict=True):
        cells = []
        for one in rows:
            # Kind by kind there are so few that an interval would be nearly all of 0 to 1.
            area = Estimate(one.area.value) if rows[0].kind != ALL else one.area
            cells += [spoken(area), "-" if one.against_twin is None else f"{one.against_twin:.2f}"]
        table.add_row(rows[0].kind, str(rows[0].incidents), *cells)
    return table
