"""Overrides: what operators set over MQTT or on the page and differs from the settings file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.kept_settings import SETTING, SNOOZE, Kept, kept_in
from edgewatch.pipeline.records import open_readonly
from edgewatch.pipeline.types import CameraName
from edgewatch.tools.findings import Finding, ok, warn

_CURE = "Set it back over MQTT or on the page; a change of the key in the file takes it back too."


def override_findings(
    data_dir: Path, plans: Sequence[CameraPlan], now_seconds: float
) -> list[Finding]:
    """Tell what is in force though the file says otherwise; nothing if the records are no help."""
    path = data_dir / "edgewatch.db"
    try:
        if not path.exists():
            return []
        with open_readonly(path) as records:
            kept = kept_in(records.setting(SETTING))
    except (StoreError, OSError, ValueError, TypeError, KeyError):
        return []
    return [
        finding
        for plan in plans
        for key, one in kept.get(CameraName(plan.name), {}).items()
        for finding in _findings(plan, key, one, now_seconds)
    ]


def _findings(plan: CameraPlan, key: str, kept: Kept, now_seconds: float) -> Iterator[Finding]:
    since = f"since {_local(kept.since_seconds)}"
    match key:
        case "enabled" if kept.file == plan.enabled and not kept.value:
            detail = f"an operator switched it off, {since}; the file says enabled = true"
            yield warn("override", plan.name, detail, _CURE)
        case "enabled" if kept.file == plan.enabled:
            detail = f"an operator switched it on, {since}; the file says enabled = false"
            yield ok("override", plan.name, detail)
        case "threshold" if kept.file == plan.threshold:
            detail = (
                f"an operator set its threshold to {kept.value:g}, {since}; "
                f"the file says {plan.threshold:g}"
            )
            yield ok("override", plan.name, detail)
        case _ if key == SNOOZE and kept.value > now_seconds:
            yield ok("override", plan.name, f"snoozed until {_local(kept.value)}")


def _local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="minutes")
