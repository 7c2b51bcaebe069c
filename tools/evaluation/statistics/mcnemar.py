"""McNemar's test: of items that one engine got right and the other wrong, who has more?"""

from __future__ import annotations

import numpy as np

from edgewatch.tools.evaluation.statistics.figures import McNemar
from edgewatch.tools.evaluation.statistics.libraries import scipy_stats
from edgewatch.tools.evaluation.statistics.sample import Booleans, Floats, Integers

NEVER_DIFFER = "neither engine was right where the other was wrong"


def mcnemar_test(first_right: Booleans, second_right: Booleans, unit: Integers) -> McNemar:
    """Compare two engines' answers to the same items; `unit` numbers each item's witness.

    Q. McNemar, Psychometrika 12 (1947) 153, exact: the binomial of discordant items.
    """
    first_only = first_right & ~second_right
    second_only = second_right & ~first_right
    more, less = int(np.count_nonzero(first_only)), int(np.count_nonzero(second_only))
    both_right = int(np.count_nonzero(first_right & second_right))
    both_wrong = len(first_right) - both_right - more - less
    discordant = more + less
    if not discordant:
        reason = NEVER_DIFFER if len(first_right) else "nothing whose truth is known"
        return McNemar(both_right, 0, 0, both_wrong, None, None, None, reason)
    balance = np.bincount(unit, weights=first_only * 1.0 - second_only)
    return McNemar(
        both_right=both_right,
        first_only=more,
        second_only=less,
        both_wrong=both_wrong,
        chi_squared=(more - less) ** 2 / discordant,
        p_value=float(scipy_stats().binomtest(more, discordant, 0.5).pvalue),
        clustered_p_value=sign_flip_p_value(balance.astype(np.float64)),
    )


def sign_flip_p_value(balance: Floats) -> float:
    """Return P(|sum| at least as large, if each unit's balance had either sign alike). Exact.

    Items of one unit change sides together, so nothing is asked of their independence. With one
    item a unit this is McNemar's exact test. `balance`: whole numbers, one a unit.
    """
    steps = [abs(round(float(one))) for one in balance if one]
    reach = sum(steps)
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for step in steps:
        shifted = np.zeros_like(chances)
        shifted[step:] += chances[: len(chances) - step] / 2
        shifted[: len(chances) - step] += chances[step:] / 2
        chances = shifted
    seen = abs(round(float(np.sum(balance))))
    sums = np.abs(np.arange(-reach, reach + 1))
    return min(1.0, float(chances[sums >= seen].sum()))
