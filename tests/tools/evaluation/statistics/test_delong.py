from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from edgewatch.tools.evaluation.statistics.delong import delong_test
from edgewatch.tools.evaluation.statistics.sample import Booleans, Floats

_OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0
1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1
4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1
3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1
3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1
3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
3.6 6.6 5 1
"""
"""DeLong, DeLong and Clarke-Pearson's own patients (1988), as SAS/STAT prints them in the example
"Comparing Receiver Operating Characteristic Curves" of PROC LOGISTIC: albumin, total protein,
K-G score, and whether surgery helped."""


def _patients() -> tuple[Booleans, dict[str, Floats]]:
    albumin, protein, score, helped = np.array(_OVARIAN.split(), dtype=float).reshape(-1, 4).T
    return helped == 1, {"albumin": albumin, "protein": protein, "k-g": 10 - score}


def test_the_authors_own_patients_give_the_published_comparison() -> None:
    """SAS/STAT on these 43 patients: total protein against K-G, chi-squared 0.5554, p 0.4561."""
    positive, marks = _patients()
    found = delong_test(positive, marks["protein"], marks["k-g"])
    assert found.first_auc == pytest.approx(0.6478, abs=5e-5)
    assert found.second_auc == pytest.approx(0.7258, abs=5e-5)
    assert found.difference.value == pytest.approx(-0.0780, abs=5e-5)
    assert found.z is not None
    assert found.z**2 == pytest.approx(0.5554, abs=5e-5)
    assert found.p_value == pytest.approx(0.4561, abs=5e-5)
    assert found.difference.low is not None
    assert found.difference.high is not None
    assert found.difference.low < 0 < found.difference.high


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_u_statistics_of_the_paper(seed: int) -> None:
    """The structural components summed pair by pair, as the paper defines them."""
    random = np.random.default_rng(seed)
    positive = np.arange(25) < 10
    first = (random.normal(positive * 1.0, 1.0)).round(1)
    second = (0.5 * first + random.normal(positive * 0.3, 1.0)).round(1)
    found = delong_test(positive, first, second)
    assert found.first_auc == pytest.approx(roc_auc_score(positive, first))
    variance = _directly(positive, first, second)
    assert found.z is not None
    assert found.difference.value is not None
    assert found.z == pytest.approx(found.difference.value / variance**0.5)


def _directly(positive: Booleans, first: Floats, second: Floats) -> float:
    """Return the variance of the difference of areas, from all pairs."""

    def beats(one: float, other: float) -> float:
        return 1.0 if one > other else 0.5 if one == other else 0.0

    variance = 0.0
    for chosen, sign in ((positive, 1), (~positive, -1)):
        components = []
        for index in np.flatnonzero(chosen):
            rivals = np.flatnonzero(~chosen)
            wins = [
                sum(beats(sign * marks[index], sign * marks[rival]) for rival in rivals)
                / len(rivals)
                for marks in (first, second)
            ]
            components.append(wins[0] - wins[1])
        mean = sum(components) / len(components)
        spread = sum((one - mean) ** 2 for one in components) / (len(components) - 1)
        variance += spread / len(components)
    return variance


def test_the_other_way_round_changes_the_sign_alone() -> None:
    positive, marks = _patients()
    one = delong_test(positive, marks["albumin"], marks["k-g"])
    other = delong_test(positive, marks["k-g"], marks["albumin"])
    assert one.p_value == pytest.approx(other.p_value)
    assert one.z is not None
    assert one.z == pytest.approx(-(other.z or 0.0))


def test_alike_rankings_need_no_test() -> None:
    positive, marks = _patients()
    found = delong_test(positive, marks["albumin"], marks["albumin"] * 2)
    assert (found.difference.value, found.p_value) == (0.0, None)
    assert found.reason == "both rank all pairs alike"


@pytest.mark.parametrize(("positives", "value"), [(0, None), (1, 0.0), (4, 0.0), (5, None)])
def test_too_few_of_a_class_have_no_test(positives: int, value: float | None) -> None:
    marks = np.linspace(0, 1, 5)
    found = delong_test(np.arange(5) < positives, marks, marks)
    assert found.difference.value == value
    assert found.p_value is None
    assert found.reason == found.difference.reason != ""
