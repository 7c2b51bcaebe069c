"""What `check` finds of fire drills: cameras whose alarm was not tried for long, or failed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.drill.standing import Standing, standing_of
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.records import open_readonly
from edgewatch.pipeline.types import CameraName
from edgewatch.tools.findings import Finding, ok, warn


def drill_findings(
    data_dir: Path, plans: Sequence[CameraPlan], now_seconds: float, remind_after_days: int
) -> list[Finding]:
    """Return a finding of each enabled camera that was ever drilled, or should have been.

    Records that are not there yet, or cannot be read, are another check's.
    """
    path = data_dir / "edgewatch.db"
    if not path.exists():
        return []
    try:
        with open_readonly(path) as records:
            last, passed = records.last_drills(), records.drills_passed()
            standings = {
                plan.name: standing_of(
                    last.get(plan.name),
                    passed_seconds=passed.get(plan.name),
                    known_seconds=records.known_since(CameraName(plan.name)),
                    now_seconds=now_seconds,
                    remind_after_days=remind_after_days,
                )
                for plan in plans
                if plan.enabled
            }
    except StoreError:
        return []
    return [_finding(name, one) for name, one in standings.items() if one.words]


def _finding(camera: str, standing: Standing) -> Finding:
    if standing.failed and standing.last is not None:
        last = standing.last
        return warn("drill", camera, f"{standing.words}: {last.sentence}", last.cure)
    if standing.overdue:
        cure = f'Run `edgewatch drill --camera {camera}`, or set [drill] at = "04:00".'
        return warn("drill", camera, standing.words.lower(), cure)
    return ok("drill", camera, standing.words)
