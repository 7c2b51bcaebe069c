from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.kept_settings import SETTING
from edgewatch.pipeline.store import Store
from edgewatch.tools.overrides import override_findings

NOON = 1_800_000_000.0


def plans() -> list[CameraPlan]:
    return [replace(Settings().plan_for(None), name=name, url="/x") for name in ("front", "gate")]


def keep(folder: Path, tables: object) -> None:
    store = Store(folder / "edgewatch.db")
    store.set_setting(SETTING, json.dumps(tables))
    store.close()


def entry(value: float, file: float | None) -> dict[str, float | None]:
    return {"value": value, "file": file, "since_seconds": NOON - 86_400}


def test_a_camera_that_an_operator_switched_off_is_warned_of(tmp_path: Path) -> None:
    keep(tmp_path, {"front": {"enabled": entry(False, True)}})
    (finding,) = override_findings(tmp_path, plans(), NOON)
    assert (finding.status, finding.subject) == ("warn", "front")
    assert "the file says enabled = true" in finding.detail
    assert finding.cure


def test_thresholds_and_snoozes_are_told(tmp_path: Path) -> None:
    later = entry(NOON + 60, None)
    keep(tmp_path, {"gate": {"threshold": entry(0.8, 0.5), "snooze_seconds": later}})
    threshold, snooze = override_findings(tmp_path, plans(), NOON)
    assert "threshold to 0.8" in threshold.detail
    assert "the file says 0.5" in threshold.detail
    assert "snoozed until" in snooze.detail
    assert (threshold.status, snooze.status) == ("ok", "ok")


def test_what_holds_no_longer_is_not_told(tmp_path: Path) -> None:
    over = entry(NOON - 1, None)
    keep(tmp_path, {"gate": {"threshold": entry(0.8, 0.6), "snooze_seconds": over}, "gone": {}})
    assert override_findings(tmp_path, plans(), NOON) == []


def test_without_records_or_with_damaged_ones_nothing_is_told(tmp_path: Path) -> None:
    assert override_findings(tmp_path, plans(), NOON) == []
    keep(tmp_path, [1])
    assert override_findings(tmp_path, plans(), NOON) == []
    (tmp_path / "edgewatch.db").write_bytes(b"no database" * 1000)
    assert override_findings(tmp_path, plans(), NOON) == []
