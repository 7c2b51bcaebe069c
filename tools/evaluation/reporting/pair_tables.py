"""Pair tables: two engines on the same recordings, as tables and in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgewatch.tools.evaluation.reporting.tables import (
    Column,
    Table,
    count,
    figure,
    number,
    p_words,
    probability,
    table,
    told,
    word,
)
from edgewatch.tools.evaluation.statistics.figures import Agreement, PairComparison

_PAIR = (Column("A", numeric=False), Column("B", numeric=False))
_ALPHA = 0.05
"""Below, a difference is called more than chance."""


def agreement_table(pairs: Sequence[PairComparison]) -> Table:
    """Tell how often two engines answered alike, and who was right where they did not."""
    columns = (
        *_PAIR,
        Column("of", numeric=False),
        Column("same answer"),
        Column("share"),
        Column("Cohen's kappa", hint="Agreement beyond chance: 0 none, 1 full."),
        Column("both Anomaly"),
        Column("only A"),
        Column("only B"),
        Column("both Normal"),
        Column("A alone right"),
        Column("B alone right"),
        Column(
            "McNemar's p",
            hint="Exact. Of clips: with all clips of one recording changing sides together.",
        ),
    )
    rows = (
        [
            word(one.first),
            word(one.second),
            word(_plural(level)),
            word(f"{level.same} of {level.items}"),
            figure(level.share),
            figure(level.kappa),
            count(level.both_anomaly),
            count(level.first_anomaly),
            count(level.second_anomaly),
            count(level.both_normal),
            count(level.mcnemar.first_only),
            count(level.mcnemar.second_only),
            probability(_p(level), level.mcnemar.reason or "they never differ"),
        ]
        for one in pairs
        for level in (one.recordings, one.clips)
    )
    return table("Agreement", columns, rows)


def delong_table(pairs: Sequence[PairComparison]) -> Table:
    """Tell whether two engines rank the same recordings differently well."""
    columns = (
        *_PAIR,
        Column("AUC of A"),
        Column("AUC of B"),
        Column("difference"),
        Column("z"),
        Column("DeLong's p"),
        Column("mean difference of scores", hint="Mean |P(A) - P(B)| over clips."),
        Column("largest"),
    )
    rows = (
        [
            word(one.first),
            word(one.second),
            number(one.delong.first_auc, one.delong.reason),
            number(one.delong.second_auc, one.delong.reason),
            figure(one.delong.difference),
            number(one.delong.z, one.delong.reason),
            probability(one.delong.p_value, one.delong.reason),
            number(one.mean_score_difference, decimals=3),
            number(one.largest_score_difference, decimals=3),
        ]
        for one in pairs
    )
    return table("Ranking", columns, rows)


def differing_table(pair: PairComparison, most: int) -> Table:
    """List the clips on which two engines differ, the largest difference first."""
    columns = (
        Column("recording", numeric=False),
        Column("from"),
        Column("to"),
        Column("truth", numeric=False),
        Column(f"A: {pair.first}"),
        Column(f"B: {pair.second}"),
    )
    rows = (
        [
            word(one.recording),
            number(one.start_seconds, decimals=1, unit=" s"),
            number(one.end_seconds, decimals=1, unit=" s"),
            word(one.truth),
            word(f"{one.first_answer} {one.first_score:.2f}"),
            word(f"{one.second_answer} {one.second_score:.2f}"),
        ]
        for one in pair.differing[:most]
    )
    return table("Clips on which they differ", columns, rows)


def sentences(pair: PairComparison) -> Iterator[str]:
    """Say in plain words how two engines compare."""
    level = pair.recordings
    share = told(level.share)
    yield (
        f"A ({pair.first}) and B ({pair.second}) answered the same for {level.same} of "
        f"{level.items} {_plural(level)} (agreement {share}). Agreement says how alike they are, "
        "not how good."
    )
    p_value, test = _p(level), level.mcnemar
    if p_value is None:
        yield f"McNemar: {test.reason or 'they never differ in being right'}."
    else:
        yield (
            f"A alone was right {_times(test.first_only)}, B alone {_times(test.second_only)}: "
            f"{p_words(p_value)}; {_verdict(p_value)}."
        )
    ranking = pair.delong
    if ranking.p_value is None:
        yield f"Difference of AUC: {ranking.reason or 'not tested'}."
    else:
        yield (
            f"Difference of AUC (A minus B): {told(ranking.difference)}, "
            f"{p_words(ranking.p_value)} by DeLong's test; {_verdict(ranking.p_value)}."
        )
    yield from pair.notes


def _p(level: Agreement) -> float | None:
    test = level.mcnemar
    return test.clustered_p_value if level.level == "clip" else test.p_value


def _verdict(p_value: float) -> str:
    return "more than chance alone would do" if p_value < _ALPHA else "chance may well explain it"


def _times(number_of: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number_of, f"{number_of} times")


def _plural(level: Agreement) -> str:
    return f"{level.level}s"
