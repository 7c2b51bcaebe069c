from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from edgewatch.tools.evaluation.statistics.mcnemar import mcnemar_test, sign_flip_p_value


def _table(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    cells = [both, first, second, neither]
    return (
        np.repeat([True, True, False, False], cells),
        np.repeat([True, False, True, False], cells),
    )


def test_approval_of_the_president() -> None:
    """Agresti, Categorical Data Analysis (1990), p. 350: 794, 150, 86, 570 gives 17.36."""
    first, second = _table(794, 150, 86, 570)
    found = mcnemar_test(first, second, np.arange(1600))
    assert (found.both_right, found.first_only, found.second_only, found.both_wrong) == (
        794,
        150,
        86,
        570,
    )
    assert found.chi_squared == pytest.approx(17.3559, abs=5e-5)
    # The asymptotic p value that R prints for it; the exact one is near.
    assert stats.chi2.sf(found.chi_squared, 1) == pytest.approx(3.099e-05, rel=1e-3)
    assert found.p_value == pytest.approx(3.7e-05, rel=0.05)


def test_few_items_are_tested_exactly() -> None:
    """Six against none: 2 / 2^6."""
    first, second = _table(3, 6, 0, 2)
    assert mcnemar_test(first, second, np.arange(11)).p_value == pytest.approx(2 / 64)


@pytest.mark.parametrize(("more", "less"), [(1, 0), (5, 5), (9, 2), (40, 21)])
def test_one_item_a_unit_gives_the_same_both_ways(more: int, less: int) -> None:
    first, second = _table(4, more, less, 1)
    found = mcnemar_test(first, second, np.arange(len(first)))
    assert found.clustered_p_value == pytest.approx(found.p_value)


def test_flipped_signs_are_counted_right() -> None:
    balance = np.array([3.0, -1.0, 0.0, 2.0, 5.0, -2.0])
    steps = [abs(one) for one in balance if one]
    sums = [
        sum(sign * step for sign, step in zip(signs, steps, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(steps))
    ]
    expected = sum(abs(one) >= abs(balance.sum()) for one in sums) / len(sums)
    assert sign_flip_p_value(balance) == pytest.approx(expected)


def test_clips_of_one_recording_are_one_witness() -> None:
    """Thirty clips of one recording that change sides together prove nothing."""
    first, second = _table(0, 30, 0, 0)
    found = mcnemar_test(first, second, np.zeros(30, dtype=np.int64))
    assert found.p_value is not None
    assert found.p_value < 1e-8
    assert found.clustered_p_value == 1.0


def test_engines_that_never_differ_have_no_test() -> None:
    first, second = _table(5, 0, 0, 3)
    found = mcnemar_test(first, second, np.arange(8))
    assert (found.p_value, found.clustered_p_value, found.chi_squared) == (None, None, None)
    assert "neither engine" in found.reason
    nobody = np.array([], dtype=bool)
    assert "truth" in mcnemar_test(nobody, nobody, np.array([], dtype=np.int64)).reason
