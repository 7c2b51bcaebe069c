import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.tools.evaluation.reporting.charts import (
    HEIGHT,
    LEFT,
    LOOKS,
    SIDE,
    TICKS,
    TOP,
    WIDTH,
    Bin,
    pr_chart,
    reliability_chart,
    roc_chart,
    sample,
    series,
)

UNIT = st.floats(0.0, 1.0)
POINTS = st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=50)


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+) ([\d.]+)", path)]


def test_corners_of_the_unit_square_are_corners_of_the_plot() -> None:
    line = series(0, "a", [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)], figure="").line
    assert places(line) == [(LEFT, TOP + SIDE), (LEFT, TOP), (LEFT + SIDE, TOP)]
    assert (TICKS[0].x, TICKS[0].y) == (LEFT, TOP + SIDE)
    assert (TICKS[-1].x, TICKS[-1].y, TICKS[-1].words) == (LEFT + SIDE, TOP, "1")


@given(POINTS)
def test_no_line_leaves_its_drawing_and_its_ends_stay(points: list[tuple[float, float]]) -> None:
    found = places(series(1, "a", points, figure="", at=points[0], at_words="here").line)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in found)
    for drawn, (x, y) in ((found[0], points[0]), (found[-1], points[-1])):
        assert drawn == pytest.approx((LEFT + SIDE * x, TOP + SIDE * (1 - y)), abs=0.01)


def test_curve_of_very_many_points_is_thinned_but_not_bent() -> None:
    points = [(at / 20_000, (at / 20_000) ** 0.5) for at in range(20_001)]
    found = places(series(0, "a", points, figure="").line)
    assert 50 < len(found) < 400
    for x, y in found:
        share = (x - LEFT) / SIDE
        assert TOP + SIDE * (1 - share**0.5) == pytest.approx(y, abs=0.5)


def test_engines_are_told_apart_by_more_than_colour() -> None:
    assert len({series(at, "a", [], figure="").look for at in range(LOOKS)}) == LOOKS
    assert len({sample(at) for at in range(4)}) == 4
    assert series(LOOKS, "a", [], figure="").look == 0


def test_guides_are_what_an_engine_without_skill_shows() -> None:
    assert places(roc_chart("r", []).guide) == [(LEFT, TOP + SIDE), (LEFT + SIDE, TOP)]
    chart = pr_chart("p", [], 0.25)
    assert {y for _, y in places(chart.guide)} == {TOP + SIDE * 0.75}
    assert chart.guide_words == "always Anomaly (0.25)"


def test_reliability_diagram_has_a_mark_and_a_bar_for_each_bin_with_clips() -> None:
    bins = [
        Bin(0.0, 0.1, 0.05, 0.0, 40, 0.0, 0.25),
        Bin(0.1, 0.2, 0.1, 0.5, 0),
        Bin(0.9, 1.0, 0.95, 0.5, 10),
    ]
    chart = reliability_chart(0, "a", bins, figure="")
    (line,) = chart.series
    assert places(line.line) == [
        (LEFT + SIDE * 0.05, TOP + SIDE),
        (LEFT + SIDE * 0.95, TOP + SIDE * 0.5),
    ]
    assert line.whiskers == f"M{LEFT + SIDE * 0.05:g} {TOP + SIDE:g}V{TOP + SIDE * 0.75:g}"
    assert [mark.words for mark in line.marks] == [
        "40 clips scored 0.0 to 0.1, 0.05 in the mean: 0 % anomalous",
        "10 clips scored 0.9 to 1.0, 0.95 in the mean: 50 % anomalous",
    ]
    assert [bar.height for bar in chart.bars] == [0.2 * SIDE, 0.05 * SIDE]
    assert {round(bar.y + bar.height, 2) for bar in chart.bars} == {TOP + SIDE}
