"""Findings about an engine: what its self-test, or its failure, means for those who run it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from edgewatch.config.sections import Clips
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.frames import target_size
from edgewatch.tools.findings import Finding, fail, ok, warn
from edgewatch.tools.self_test import STILL, Scored, SelfTest, Speed
from edgewatch.tools.trial_footage import SOURCE_SIZE

SAME = 5e-4
"""Scores of the same clip that differ by less are equal in what is shown of them."""
ALIKE = 0.02
"""By so much they may differ where kernels, or a server's batches, choose their order of adding."""

_ANSWERS = (
    "Set [engine] answers and answer_prefix as the model needs them, or write a plainer prompt: "
    "docs/engines.md."
)
_GENERAL_CURES = {
    "builtin": "Install edgewatch anew into a fresh environment; if it stays so, report this.",
    "remote": "Look at the server's own log, and at docs/engines.md.",
}
_GENERAL_CURE = "Look at docs/engines.md; with EDGEWATCH_LOG=debug, edgewatch run says more."
_CURE_FOLLOWS = re.compile(
    r": (?=(?:add|check|choose|correct|download|end|free|give|install|lower|name|raise|remove|"
    r"restart|restore|run|set|start|take|update|upgrade|use|write)\b)"
)


def failure_finding(kind: str, error: EngineFailed) -> Finding:
    """Say that an engine does not work, what is wrong, and the cure.

    An error that brings no cure of its own may end in one, "what: cure"; it is taken for one if
    it begins with what to do.
    """
    what, cure = error.what, error.cure
    if not cure:
        *heads, tail = _CURE_FOLLOWS.split(what)
        if heads:
            what, cure = ": ".join(heads), tail
    if not cure:
        cure = _GENERAL_CURES.get(kind, _GENERAL_CURE)
    if cure.startswith("pip "):
        cure = f"run {cure}"
    return fail("engine", kind, what, cure[0].upper() + cure[1:])


def engine_findings(
    test: SelfTest, plans: Sequence[CameraPlan], threshold: float, *, kind: str
) -> list[Finding]:
    """Say what a self-test means for the cameras that are to be watched."""
    findings = [_soundness(test, threshold, kind), *(_capacity(speed) for speed in test.speeds)]
    if test.left_out:
        sizes = ", ".join(map(str, test.left_out))
        findings.append(
            warn(
                "capacity",
                f"batches of {sizes}",
                "would take too long to measure here, and to wait for",
                f"Set [engine] max_batch = {test.speeds[-1].clips}.",
            )
        )
    if plans:
        findings.append(_load(test, plans))
    return findings


def _soundness(test: SelfTest, threshold: float, kind: str) -> Finding:
    shown = ", ".join(f"{scene} {one.first:.3f}" for scene, one in test.scores.items())
    return next(
        _unsound(test, shown, threshold, kind),
        ok(
            "engine",
            test.engine,
            f"started in {test.start_seconds:.1f} s; {shown}, the same when judged again",
        ),
    )


def _unsound(test: SelfTest, shown: str, threshold: float, kind: str) -> Iterator[Finding]:
    for scene, one in test.scores.items():
        yield from _wrong_score(test.engine, scene, one)
    firsts = {one.first for one in test.scores.values()}
    # The built-in engine has a least score, which every calm clip gets.
    if kind != "builtin" and len(firsts) == 1 and len(test.scores) > 1:
        yield fail(
            "engine",
            test.engine,
            f"does not see: scores whatever it is shown {firsts.pop():g}",
            "Check that the model takes video, and with a server [engine] send; docs/engines.md.",
        )
    apart = max(abs(one.first - one.second) for one in test.scores.values())
    if apart > SAME:
        yield warn(
            "engine",
            test.engine,
            f"scores the same clip up to {apart:.4f} apart: {shown}",
            "Usual for servers and TensorRT-LLM, which add in an order of their own; leave such a "
            "margin around engine.threshold.",
        )
    uncertain = [scene for scene, one in test.scores.items() if one.uncertain]
    if uncertain:
        wrong = f"hardly answers as it was asked to, about {', '.join(uncertain)}: {shown}"
        yield warn("engine", test.engine, wrong, _ANSWERS)
    if test.scores[STILL].first >= threshold:
        wrong = f"takes a scene in which nothing moves for an Anomaly: {shown}"
        yield warn("engine", test.engine, wrong, "Raise engine.threshold above that score.")


def _wrong_score(engine: str, scene: str, one: Scored) -> Iterator[Finding]:
    scores = (one.first, one.second)
    if any(math.isnan(score) for score in scores):
        wrong = f"gives {scene} no answer, neither of the two it was asked for"
        yield fail("engine", engine, wrong, _ANSWERS)
    elif not all(0.0 <= score <= 1.0 for score in scores):
        wrong = f"scores {scene} {one.first:g}, then {one.second:g}: no probability"
        yield fail("engine", engine, wrong, "Install edgewatch anew, and report this.")
    elif abs(one.first - one.second) > ALIKE:
        yield fail(
            "engine",
            engine,
            f"scores the same clip ({scene}) {one.first:g}, then {one.second:g}",
            "Restart the box and check again; a server must be asked at temperature 0 and keep "
            "nothing between clips. If it stays so, test the memory, and report this.",
        )


def _capacity(speed: Speed) -> Finding:
    serves = _serves(speed.kind, speed.clip_seconds)
    per_second = 1.0 / speed.clip_seconds if speed.clip_seconds > 0 else math.inf
    return ok(
        "capacity",
        f"{_cut(speed.kind)}, {speed.clips} at a time",
        f"{speed.clip_seconds * 1000:.0f} ms a clip, {per_second:.3g} clips/s; one every "
        f"{speed.kind.stride_seconds:g} s: serves {serves} such cameras",
    )


def _load(test: SelfTest, plans: Sequence[CameraPlan]) -> Finding:
    """Say how much of the engine all cameras take. Batches are full when it matters."""
    fastest: dict[Clips, float] = {}
    for speed in test.speeds:
        known_seconds = fastest.get(speed.kind, math.inf)
        fastest[speed.kind] = min(known_seconds, speed.clip_seconds)
    slowest = max(fastest.values())
    load = sum(fastest.get(plan.clips, slowest) / plan.clips.stride_seconds for plan in plans)
    subject = f"all {len(plans)} enabled cameras" if len(plans) > 1 else "the one enabled camera"
    detail = f"take {load:.0%} of it" if len(plans) > 1 else f"takes {load:.0%} of it"
    if load <= 1.0:
        return ok("load", subject, detail)
    return warn(
        "load",
        subject,
        detail,
        "More than it can judge, clips will be dropped: raise stride_seconds, lower fps or "
        "pixels, or watch fewer cameras.",
    )


def _serves(kind: Clips, clip_seconds: float) -> str:
    if clip_seconds <= 0:
        return "any number of"
    return str(math.floor(kind.stride_seconds / clip_seconds))


def _cut(kind: Clips) -> str:
    width, height = target_size(*SOURCE_SIZE, kind.pixels)
    return f"{kind.seconds:g} s at {kind.fps:g} fps, {width}x{height}"
