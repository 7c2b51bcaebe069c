from __future__ import annotations

import pytest

from bench.flow import Batch, Observed, Told, figures_of
from edgewatch.pipeline.types import CameraName

A, B = CameraName("a"), CameraName("b")


def observed() -> Observed:
    """Two cameras with a clip a second each, in batches of half a second, told 2 ms later."""
    run = Observed(began_seconds=1.0, ended_seconds=5.0, cpu_seconds=0.04, drops=3)
    for second in range(6):
        run.batches.append(Batch((f"a-{second}", f"b-{second}"), second + 0.01, second + 0.51))
        for camera in (A, B):
            run.told.append(Told(camera, f"{camera}-{second}", float(second), second + 0.512))
    return run


def test_what_the_flow_added_is_the_wait_at_a_free_engine_and_for_the_verdict() -> None:
    figures = figures_of(observed())
    assert figures["clips"] == 8
    assert figures["added_mean_ms"] == pytest.approx(12.0)
    assert figures["cpu_ms_per_clip"] == pytest.approx(5.0)
    assert figures["drops"] == 3


def test_a_wait_behind_another_batch_is_the_engines() -> None:
    run = observed()
    run.began_seconds = 1.1
    for second in range(6):
        run.batches[second] = Batch(run.batches[second].clip_ids, second + 0.01, second + 1.0)
    run.told = [
        Told(one.camera, one.clip_id, one.captured_seconds - 0.3, one.told_seconds + 0.49)
        for one in run.told
    ]
    assert figures_of(run)["added_mean_ms"] == pytest.approx(12.0)


def test_the_engines_share_counts_what_lies_in_the_window() -> None:
    figures = figures_of(observed())
    assert figures["engine_busy_share"] == pytest.approx(0.5)
    assert figures["added_ms_per_clip"] == pytest.approx(1000 * 2.0 / 8)
    assert figures["batch_mean"] == 2


def test_staleness_is_the_mean_age_of_what_is_known() -> None:
    """Right after a verdict 0.512 s old, right before the next 1.512 s: 1.012 s in the mean."""
    figures = figures_of(observed())
    assert figures["staleness_mean_seconds"] == pytest.approx(1.012)
    assert figures["staleness_worst_over_mean"] == pytest.approx(1.0)


def test_a_camera_that_is_served_less_is_staler() -> None:
    run = observed()
    run.told = [one for one in run.told if one.camera == A or one.clip_id in ("b-1", "b-4")]
    assert figures_of(run)["staleness_worst_over_mean"] > 1.3
