"""Then and now: an event is judged again under the calibration that it was judged under."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgewatch.pipeline.engines.calibration import split_name
from edgewatch.pipeline.engines.calibration_file import kept_file, read_calibration
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import EngineFailed


def as_then(setup: EngineSetup, file: Path, engine_then: str) -> tuple[EngineSetup, str]:
    """Return the engine's make with the calibration of then, and what a reader must know of it.

    `file`: where this engine's calibration lies; `engine_then`: the name in the event's verdicts.
    Where that calibration is gone, the engine stays as it is set now: then its name differs.
    """
    _, then = split_name(engine_then)
    now = _hash_of(setup.calibration)
    if then == now:
        return setup, ""
    if not then:
        return replace(setup, calibration=None), (
            "the event was judged before its engine was calibrated; so it is judged again without"
        )
    for one in (file, kept_file(file, then)):
        if _hash_of(one) == then:
            changed = replace(setup, calibration=one, calibration_named=False, asked=())
            return changed, f"the event was judged under calibration {then}, and so it is again"
    lost = f"the event was judged under calibration {then}, whose file is gone: scores must differ"
    return setup, lost


def calibration_words(then: str, now: str) -> str:
    """Say how an engine's names then and now differ, if it is by the calibration alone."""
    (engine, hash_then), (engine_now, hash_now) = split_name(then), split_name(now)
    if engine != engine_now:
        return f"then it was judged by {then}, now by {now}"
    said = [f"with calibration {one}" if one else "uncalibrated" for one in (hash_then, hash_now)]
    return (
        f"the same engine, {engine}, judged it {said[0]} then and {said[1]} now: scores differ by "
        "that alone, and thresholds mean another scale"
    )


def _hash_of(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        found = read_calibration(file)
    except EngineFailed:
        return ""
    return "" if found.method == "none" else found.hash
