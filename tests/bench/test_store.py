from __future__ import annotations

from pathlib import Path

import pytest

from bench.store import DAY, FRONT, NOW, fill, measure
from edgewatch.pipeline.records import open_readonly


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "edgewatch.db"
    fill(path, verdicts=4_000, events=200)
    return path


def test_records_are_those_of_a_daemon_and_every_question_has_a_figure(path: Path) -> None:
    with open_readonly(path) as records:
        assert records.cameras() == [f"camera-{number}" for number in range(4)]
        assert len(records.scores(FRONT, 0.0, NOW)) == 1_000
        assert sum(one.clips for one in records.timeline(FRONT, NOW - DAY, NOW, 288)) == 1_000
        figures = measure(records, path, rounds=1)
    assert all(figure > 0.0 for figure in figures.values())
    assert {"why_ms", "tune_week_ms", "full_scan_ms", "worst_ms"} < set(figures)
