"""Drawing: reliability diagrams as SVG and as lines of text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup, escape

from edgewatch.tools.calibrating.reliability import Bin, Diagram

SIDE, LEFT, TOP, GAP = 260.0, 58.0, 48.0, 40.0
PANEL = LEFT + SIDE + GAP
HEIGHT = TOP + SIDE + 46.0
COLUMNS = 41
"""Of a line of text, from 0 to 1."""

_STYLE = """
.rd { font: 12px system-ui, "DejaVu Sans", sans-serif; color: #1b2330; }
.rd text { fill: currentColor; } .rd .soft { opacity: .65; }
.rd .frame { fill: none; stroke: currentColor; opacity: .35; }
.rd .guide { stroke: currentColor; opacity: .45; stroke-dasharray: 5 4; }
.rd .bin { stroke: #2f6fb0; stroke-width: 1.6; } .rd .dot { fill: #2f6fb0; }
@media (prefers-color-scheme: dark) {
  .rd { color: #e4e9f0; } .rd .bin { stroke: #8fb4e0; } .rd .dot { fill: #8fb4e0; } }
"""


def reliability_svg(panels: Sequence[tuple[str, Diagram]]) -> Markup:
    """Draw diagrams side by side: one drawing that needs nothing else, dark or light."""
    width = PANEL * len(panels) - GAP + 16.0
    said = "; ".join(f"{title}: calibration error {one.error:.3f}" for title, one in panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rd" role="img" width="{width:g}" '
        f'height="{HEIGHT:g}" viewBox="0 0 {width:g} {HEIGHT:g}">',
        f"<title>{escape(said)}</title><style>{_STYLE}</style>",
    ]
    for number, (title, one) in enumerate(panels):
        parts += _panel(PANEL * number + LEFT, title, one)
    return Markup("\n".join([*parts, "</svg>\n"]))


def _panel(left: float, title: str, shown: Diagram) -> Iterator[str]:
    bottom = TOP + SIDE
    yield f'<text x="{left:g}" y="{TOP - 28:g}" font-weight="600">{escape(title)}</text>'
    yield (
        f'<text x="{left:g}" y="{TOP - 11:g}" class="soft">'
        f"calibration error {shown.error:.3f}, log loss {shown.log_loss:.3f}</text>"
    )
    yield f'<rect class="frame" x="{left:g}" y="{TOP:g}" width="{SIDE:g}" height="{SIDE:g}"/>'
    yield f'<path class="guide" d="M{left:g} {bottom:g}L{left + SIDE:g} {TOP:g}"/>'
    for at in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = left + SIDE * at, bottom - SIDE * at
        yield (
            f'<text x="{x:g}" y="{bottom + 16:g}" text-anchor="middle" class="soft">{at:g}</text>'
            f'<text x="{left - 6:g}" y="{y + 4:g}" text-anchor="end" class="soft">{at:g}</text>'
        )
    yield (
        f'<text x="{left + SIDE / 2:g}" y="{bottom + 36:g}" text-anchor="middle">'
        "mean score of the clips</text>"
    )
    x, y = left - 44.0, TOP + SIDE / 2
    yield (
        f'<text x="{x:g}" y="{y:g}" text-anchor="middle" transform="rotate(-90 {x:g} {y:g})">'
        "share that was an incident</text>"
    )
    for one in shown.bins:
        yield _mark(left, one, max(each.clips for each in shown.bins))


def _mark(left: float, one: Bin, most_clips: int) -> str:
    value = one.was.value or 0.0
    x, y = left + SIDE * one.said, TOP + SIDE * (1.0 - value)
    radius = 2.5 + 3.5 * (one.clips / most_clips) ** 0.5
    interval = ""
    if one.was.low is not None and one.was.high is not None:
        ends = (TOP + SIDE * (1.0 - edge) for edge in (one.was.low, one.was.high))
        interval = '<path class="bin" d="M{x:.1f} {0:.1f}V{1:.1f}"/>'.format(*ends, x=x)
    return (
        f'{interval}<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">'
        f"<title>{escape(words(one))}</title></circle>"
    )


def words(one: Bin) -> str:
    """Say what a bin holds."""
    return (
        f"{one.clips} clips scored {one.low:.3f} to {one.high:.3f}, {one.said:.3f} in the mean: "
        f"{100.0 * (one.was.value or 0.0):.0f} % were an incident"
    )


def text_line(one: Bin) -> str:
    """Draw a bin from 0 to 1: | what was said, o what was, - its interval; X where both meet."""
    line = ["·"] * COLUMNS
    if one.was.low is not None and one.was.high is not None:
        low, high = _column(one.was.low), _column(one.was.high)
        line[low : high + 1] = ["-"] * (high + 1 - low)
    said, was = _column(one.said), _column(one.was.value or 0.0)
    line[was] = "o"
    line[said] = "X" if said == was else "|"
    return "".join(line)


def _column(share: float) -> int:
    return round(min(max(share, 0.0), 1.0) * (COLUMNS - 1))
