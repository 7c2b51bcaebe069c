"""Coverage view: accounts as people see them on a terminal, with a strip of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import get_args

from rich.console import Console, Group
from rich.text import Text

from edgewatch.pipeline.coverage import Span
from edgewatch.pipeline.types import Coverage
from edgewatch.tools.account import Account, in_seconds, percentage
from edgewatch.tools.strip import Cell, axis, draw

_LOOKS: dict[Coverage, tuple[str, str]] = {
    "judged": ("=", "green"),
    "offline": ("O", "red"),
    "connecting": ("C", "yellow"),
    "frozen": ("F", "bright_cyan"),
    "overload": ("L", "magenta"),
    "engine_down": ("E", "bright_red"),
    "scheduled_off": ("S", "blue"),
    "disabled": ("D", "bright_black"),
    "too_short": ("T", "bright_yellow"),
    "corrupt": ("X", "bright_magenta"),
    "not_running": ("N", "white"),
}
"""The letter and the colour of each in a strip."""

_LEGEND = "each cell is the worst of its time: judged only if all of it was; "
_LETTERS = _LEGEND + "small letters: less than half of it was not judged"
_BLOCKS = _LEGEND + "low blocks: less than half of it was not judged"


def print_view(accounts: Sequence[Account], console: Console) -> None:
    """Print each account: strip, seconds by reason, longest gaps; then what the signs mean."""
    for one in accounts:
        console.print(_view(one, console))
    console.print(_legend(accounts, console))


def still_open(one: Account) -> str:
    """Say how much of the time asked for is not settled."""
    return f"the newest {one.open_ms / 1000:.1f} s are not settled yet"


def _view(one: Account, console: Console) -> Group:
    """Lay out one camera: heading, strip, times, seconds by reason, longest gaps."""
    judged = percentage(one.totals_ms.get("judged", 0), one.window_ms)
    heading = Text.assemble(
        (one.camera, "bold"),
        f"  {judged} % judged" if one.window_ms else "  nothing settled",
        (f", {_moment(one.since_ms)} to {_moment(one.until_ms)}", "dim"),
        (f"; {still_open(one)}" if one.open_ms else "", "dim"),
    )
    cells = draw(one.spans, one.since_ms, one.until_ms, console.width)
    runs = ((_cell(cell, console), sum(1 for _ in run)) for cell, run in groupby(cells))
    strip = Text.assemble(*((sign * count, style) for (sign, style), count in runs))
    times = Text(axis(one.since_ms, one.until_ms, len(cells)), style="dim")
    sums = Text().append(f"    {'':<14}{'seconds':>14}{'%':>8}\n", style="dim")
    for coverage, length_ms in one.sums():
        letter, colour = _LOOKS[coverage]
        sums.append("  ").append(*(("█", colour) if _in_colour(console) else (letter, "")))
        share = percentage(length_ms, one.window_ms)
        sums.append(f" {coverage:<14}{in_seconds(length_ms):>14}{share:>8}\n")
    parts = [heading, strip, times, sums]
    if gaps := one.gaps():
        parts.append(Text("longest gaps", style="bold"))
        parts += [Text(_gap(gap)) for gap in gaps]
    return Group(*parts, Text())


def _gap(gap: Span) -> str:
    start_ms, end_ms, reason = gap
    seconds = in_seconds(end_ms - start_ms)
    return f"  {_moment(start_ms)} to {_moment(end_ms)}  {seconds:>12} s  {reason}"


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000):%Y-%m-%d %H:%M:%S}"


def _cell(cell: Cell, console: Console) -> tuple[str, str]:
    letter, colour = _LOOKS[cell.coverage]
    if not _in_colour(console):
        return (letter if cell.most else letter.lower(), "")
    return ("█", colour) if cell.most else ("▄", f"{colour} on {_LOOKS['judged'][1]}")


def _legend(accounts: Sequence[Account], console: Console) -> Text:
    found = {coverage for one in accounts for coverage in one.totals_ms}
    legend = Text()
    for coverage in get_args(Coverage):
        if coverage in found:
            letter, colour = _LOOKS[coverage]
            sign = ("█", colour) if _in_colour(console) else (letter, "")
            legend.append(*sign).append(f" {coverage}  ")
    legend.append("\n")
    return legend.append(_BLOCKS if _in_colour(console) else _LETTERS, style="dim")


def _in_colour(console: Console) -> bool:
    return (
        console.color_system is not None
        and not console.no_color
        and console.encoding.lower().startswith("utf")
    )
