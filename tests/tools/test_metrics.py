import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.types import Label
from edgewatch.tools.metrics import Confusion, Figure, Outcome, confusion, measure, roc_auc

SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.500001, 1.0]), min_size=1, max_size=12)
LABELS: st.SearchStrategy[Label] = st.sampled_from(["Normal", "Anomaly"])


def an_outcome(label: Label, *scores: float, group: str = "", answer: Label = "Normal") -> Outcome:
    return Outcome(label, scores, by_event=answer, by_clip=answer, group=group)


def test_known_confusion_gives_the_known_figures() -> None:
    # Worked example: 90 sick of whom 60 are found, 910 healthy of whom 10 are alarmed.
    table = Confusion(true_anomaly=60, false_anomaly=10, true_normal=900, false_normal=30)
    assert table.accuracy.value == pytest.approx(0.96)
    assert table.precision.value == pytest.approx(6 / 7)
    assert table.recall.value == pytest.approx(2 / 3)
    assert table.f1.value == pytest.approx(0.75)
    assert table.always_anomaly_f1.value == pytest.approx(180 / 1090)


def test_published_auc_example() -> None:
    # Source: scikit-learn's documentation of roc_auc_score: y = [0, 0, 1, 1] gives 0.75.
    assert roc_auc([0.35, 0.8], [0.1, 0.4]) == Figure(0.75)


@given(SCORES, SCORES)
def test_auc_is_the_share_of_pairs_won_a_tie_counting_half(
    anomalous: list[float], normal: list[float]
) -> None:
    won = sum((a > n) + 0.5 * (a == n) for a in anomalous for n in normal)
    assert roc_auc(anomalous, normal).value == pytest.approx(won / len(anomalous) / len(normal))


@given(SCORES, SCORES)
def test_auc_of_swapped_labels_is_the_rest(anomalous: list[float], normal: list[float]) -> None:
    one, other = roc_auc(anomalous, normal).value, roc_auc(normal, anomalous).value
    assert one is not None
    assert other is not None
    assert one + other == pytest.approx(1.0)


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1))
def test_confusion_counts_every_pair_once_and_f1_is_the_harmonic_mean(
    pairs: list[tuple[Label, Label]],
) -> None:
    table = confusion(pairs)
    assert table.total == len(pairs)
    assert table.accuracy.value == sum(a == b for a, b in pairs) / len(pairs)
    precision, recall = table.precision.value, table.recall.value
    if precision and recall:
        assert table.f1.value == pytest.approx(2 / (1 / precision + 1 / recall))


def test_undefined_figures_are_none_with_their_reason() -> None:
    only_normal = Confusion(true_normal=3)
    assert only_normal.precision == Figure(None, "never answered Anomaly")
    assert only_normal.recall == Figure(None, "no recording is labelled Anomaly")
    assert only_normal.f1.value is None
    assert Confusion().accuracy == Figure(None, "no labelled recording")
    assert roc_auc([], [0.1]).reason == "no recording is labelled Anomaly"
    assert roc_auc([0.1], []).reason == "no recording is labelled Normal"


def test_missing_every_anomaly_is_an_f1_of_zero_not_an_undefined_one() -> None:
    assert Confusion(false_normal=4, true_normal=2).f1 == Figure(0.0)


def test_recording_scores_are_its_worst_clip_and_the_mean_of_its_three_worst() -> None:
    outcome = an_outcome("Normal", 0.1, 0.9, 0.2, 0.4)
    assert outcome.peak_score == 0.9
    assert outcome.top_score == pytest.approx(0.5)
    assert an_outcome("Normal", 0.2, 0.4).top_score == pytest.approx(0.3)


def test_statistics_are_given_overall_and_by_group() -> None:
    overall, drive, fixed = measure(
        [
            an_outcome("Anomaly", 0.9, group="fixed", answer="Anomaly"),
            an_outcome("Normal", 0.95, group="drive"),
            an_outcome("Normal", 0.1, group="fixed"),
            an_outcome("Anomaly", 0.2, group="drive"),
        ]
    )
    assert (overall.group, drive.group, fixed.group) == ("", "drive", "fixed")
    assert (overall.normal, overall.anomalous) == (2, 2)
    assert overall.auc == Figure(0.5)
    assert drive.auc == Figure(0.0)
    assert fixed.auc == Figure(1.0)
    assert fixed.by_event == Confusion(true_anomaly=1, true_normal=1)


def test_one_group_or_none_is_not_repeated() -> None:
    assert measure([]) == ()
    assert [one.group for one in measure([an_outcome("Normal", 0.1, group="fixed")])] == [""]
    mixed = [an_outcome("Normal", 0.1, group="fixed"), an_outcome("Normal", 0.1)]
    assert [one.group for one in measure(mixed)] == ["", "fixed"]


def test_the_two_answers_are_counted_apart() -> None:
    short = Outcome("Anomaly", (0.9,), by_event="Normal", by_clip="Anomaly")
    (overall,) = measure([short])
    assert overall.by_event == Confusion(false_normal=1)
    assert overall.by_clip == Confusion(true_anomaly=1)
