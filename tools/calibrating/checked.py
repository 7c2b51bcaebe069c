"""Checked: what `edgewatch check` says of an engine's calibration."""

from __future__ import annotations

from collections.abc import Iterator

from edgewatch.config.settings import Settings
from edgewatch.pipeline.engines import Engine
from edgewatch.pipeline.engines.calibrated import CalibratedEngine
from edgewatch.tools.findings import Finding, ok, warn


def calibration_findings(engine: Engine, settings: Settings) -> Iterator[Finding]:
    """Say whether scores are calibrated; nothing without a file. The engine was started."""
    if not isinstance(engine, CalibratedEngine):
        return
    trouble, calibration = engine.calibration_trouble, engine.calibration
    if trouble is not None:
        cure = trouble.cure[:1].upper() + trouble.cure[1:]
        yield warn("calibration", "left aside", trouble.what, f"{cure}.")
    if calibration is None:
        return
    counts = calibration.counts
    yield ok(
        "calibration",
        calibration.method,
        f"fitted on {counts.recordings} recordings, {counts.incident_recordings} with an incident",
    )
    chosen = calibration.chosen
    if chosen is not None and chosen.threshold != settings.engine.threshold:
        yield warn(
            "calibration",
            "threshold",
            f"{settings.engine.threshold:g} is set, {chosen.threshold!r} was chosen with this "
            "calibration",
            f"Set [engine] threshold = {chosen.threshold!r}, unless it was changed on purpose.",
        )
