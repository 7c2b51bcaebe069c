"""Words for what the engine found: the evidence of a verdict and the sentences of an event."""

from __future__ import annotations

from collections.abc import Sequence

from edgewatch.pipeline.engines.builtin.fusion import Finding
from edgewatch.pipeline.types import Answer, Evidence

_FULL_STRENGTH = 6.0
_WORTH_SAYING = 0.75
_MOST_FINDINGS = 5

_SENTENCES = {
    "sudden_change": "the scene changed suddenly",
    "scene_change": "the scene changed strongly",
    "erratic_motion": "something moved erratically, to and fro",
    "jolt": "the camera's own motion changed with a jolt",
    "shock": "the picture changed in a way that motion does not explain",
    "light_change": "the light changed suddenly",
    "local_change": "one place changed strongly",
    "fast_motion": "something moved unusually fast",
    "crowding": "unusually much was moving",
    "unfamiliar": "something never seen there stayed in view",
    "against_flow": "something moved against the usual direction",
}


def evidence(findings: Sequence[Finding], seconds: Sequence[float], *, own: bool) -> list[Evidence]:
    """Put findings, strongest first, into words.

    `seconds`: the time of each frame since the clip's first. `own`: measured against this
    camera's own normal, not only against that of cameras in general.
    """
    against = "what is usual here" if own else "what is usual for cameras"
    spoken = []
    for finding in findings[:_MOST_FINDINGS]:
        if finding.deviation < _WORTH_SAYING:
            continue
        detail = f"{_times(finding.ratio)} {against}"
        if finding.peak.frame is not None:
            detail += f", {seconds[finding.peak.frame]:.1f} s into the clip"
        spoken.append(
            Evidence(
                kind=finding.kind,
                strength=round(min(finding.deviation / _FULL_STRENGTH, 1.0), 3),
                where=place(finding.peak.x, finding.peak.y),
                detail=detail,
            )
        )
    return spoken


def place(x: float | None, y: float | None) -> str:
    """Name a ninth of the picture; x and y from 0 (left, top) to 1. Empty: the whole picture."""
    if x is None or y is None:
        return ""
    across = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    if y < 1 / 3:
        return f"upper {across}" if across else "top"
    if y > 2 / 3:
        return f"lower {across}" if across else "bottom"
    return across or "centre"


def describe(answer: Answer) -> str:
    """Say in one or two plain sentences what an answer rests on."""
    if not answer.evidence:
        return "Nothing in this clip stands out."
    parts = [_phrase(item) for item in answer.evidence[:3]]
    text = _capital(parts[0]) + "."
    if len(parts) > 1:
        text += f" Also, {' and '.join(parts[1:])}."
    if answer.warming_up:
        text += " This camera's own normal is still being learnt."
    return text


def _phrase(item: Evidence) -> str:
    where = f" ({item.where})" if item.where else ""
    return f"{_SENTENCES[item.kind]}{where}, {item.detail}"


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
