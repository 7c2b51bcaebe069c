from __future__ import annotations

import pytest

from bench.alerts import Told, figures_of


def test_each_alert_is_held_against_the_verdict_that_opened_its_event() -> None:
    told = Told()
    for second in range(4):
        told.judged["front", second * 1000] = second + 5.0
        told.judged["back", second * 1000] = second + 5.5
        told.arrived.append(("front", second * 1000, second + 5.010))
        told.arrived.append(("back", second * 1000, second + 5.530))
    figures = figures_of(told)
    assert figures["new_p50_ms"] == pytest.approx(20.0)
    assert figures["new_worst_ms"] == pytest.approx(30.0)
    assert (figures["alerts"], figures["alerts_missing"]) == (8, 0)


def test_alert_that_never_came_is_counted_and_one_from_before_is_not() -> None:
    told = Told(judged={("front", 2000): 7.0}, arrived=[("front", 1000, 6.0)])
    figures = figures_of(told)
    assert (figures["alerts"], figures["alerts_missing"]) == (0, 1)
