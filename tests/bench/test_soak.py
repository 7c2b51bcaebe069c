from __future__ import annotations

import pytest

from bench.soak import CAMERAS, Observed, Sample, figures_of

MEGABYTE = 1_000_000


def samples(count: int, *, growth_bytes: int = 0) -> list[Sample]:
    """One a second; every other state cannot be compared, as some cameras are away."""
    return [
        Sample(
            seconds=1000.0 + index,
            resident_bytes=300 * MEGABYTE + index * growth_bytes,
            threads=30 if index % 2 else 20,
            descriptors=40,
            steady=index % 2 == 0,
        )
        for index in range(count)
    ]


def test_growth_is_told_for_an_hour() -> None:
    figures = figures_of(Observed(samples=samples(120, growth_bytes=1000)))
    assert figures["memory_slope_mb_per_hour"] == pytest.approx(3.6)
    assert figures["memory_slope_paired_mb_per_hour"] == pytest.approx(3.6)
    assert figures["memory_slope_steady_mb_per_hour"] == pytest.approx(3.6)


def test_threads_are_compared_in_steady_states_alone() -> None:
    figures = figures_of(Observed(samples=samples(120)))
    assert figures["threads_steady"] == 20
    assert figures["threads_spread"] == 0
    assert figures["threads_drift"] == 0


def test_a_descriptor_that_is_not_given_back_is_a_drift() -> None:
    leaking = samples(120)
    for sample in leaking[60:]:
        sample.descriptors += 1
    figures = figures_of(Observed(samples=leaking))
    assert figures["descriptors_drift"] == 1
    assert figures["descriptors_spread"] == 1


def test_a_run_without_a_steady_state_gives_no_figures() -> None:
    with pytest.raises(SystemExit, match="hardly ever all online"):
        figures_of(Observed(samples=samples(4)))


def test_all_cameras_must_be_online_at_once() -> None:
    observed = Observed()
    for number in range(CAMERAS - 1):
        observed.take(f"camera-{number}", "online")
    assert observed.online_since_seconds is None
    observed.take("last", "online")
    assert observed.online_since_seconds is not None
    observed.take("last", "offline")
    assert observed.online_since_seconds is None
