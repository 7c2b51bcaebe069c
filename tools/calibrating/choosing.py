"""Choosing: which way of calibrating holds on recordings that it was not fitted on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.calibration import Calibration, Method
from edgewatch.tools.calibrating.fitting import fitted, log_losses
from edgewatch.tools.calibrating.labelled import Clips

Floats = npt.NDArray[np.float64]

METHODS: tuple[Method, ...] = ("none", "temperature", "platt", "isotonic")
"""From the simplest on."""
LEAST_RECORDINGS = 8
"""With an incident, and as many without, to fit one or two numbers on."""
LEAST_CLIPS = 16
"""Of each kind."""
LEAST_FOR_ISOTONIC = (20, 100)
"""(recordings, clips) of each kind: with less, a free form learns recordings by heart."""
FOLDS = 10


class TooLittle(Exception):
    """The labelled clips are too few to fit on; the text says how many more are needed."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One method, fitted on some recordings and held against the others, in turn."""

    method: Method
    log_loss: float | None
    """Mean of a clip left out of the fit, in nats; None: not tried."""
    error: float = 0.0
    """Standard error of how much worse than the best it is; recordings are the witnesses."""
    probability: Floats | None = None
    """Of each clip, as fitted on the other recordings. Shape (clips,)."""
    reason: str = ""
    """Why it was not tried."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The method chosen, and what it was chosen from."""

    method: Method
    trials: tuple[Trial, ...]
    """In the order of METHODS."""
    folds: int
    why: str

    @property
    def trial(self) -> Trial:
        """The chosen one's."""
        return next(one for one in self.trials if one.method == self.method)


def check_enough(clips: Clips) -> None:
    """Raise TooLittle, saying how many more are needed, if nothing may be fitted on these."""
    lacking = _lacking(clips, LEAST_RECORDINGS, LEAST_CLIPS)
    if lacking:
        raise TooLittle(f"too little to fit on: {lacking}")


def choose(clips: Clips, *, only: Method | None = None, seed: int = 0) -> Choice:
    """Try every method by cross-validation; `only`: this one is taken, whatever comes of it.

    The simplest is taken that is no more than one standard error worse than the best: a free form
    that is better by less than chance is not. Raises TooLittle.
    """
    check_enough(clips)
    fold, count = folds(clips, seed)
    trials = [_trial(method, clips, fold, count) for method in METHODS]
    losses = {
        one.method: log_losses(one.probability, clips.truth)
        for one in trials
        if one.probability is not None
    }
    best = min(losses, key=lambda method: float(losses[method].mean()))
    judged = []
    for one in trials:
        if one.method in losses:
            apart = _standard_error(losses[one.method] - losses[best], clips.group)
            one = Trial(one.method, one.log_loss, apart, one.probability)
        judged.append(one)
    if only is not None:
        forced = next(one for one in judged if one.method == only)
        if forced.log_loss is None:
            raise TooLittle(f"too little for {only}: {_lacking(clips, *LEAST_FOR_ISOTONIC)}")
        return Choice(only, tuple(judged), count, "it was asked for")
    worst_allowed = {
        one.method: losses[best].mean() + one.error for one in judged if one.method in losses
    }
    method = next(
        name for name in METHODS if name in losses and losses[name].mean() <= worst_allowed[name]
    )
    why = (
        "least log loss on recordings left out of the fit"
        if method == best
        else f"the simplest that is within noise of the best ({best})"
    )
    return Choice(method, tuple(judged), count, why)


def folds(clips: Clips, seed: int = 0) -> tuple[npt.NDArray[np.int64], int]:
    """Deal recordings into folds; return each clip's fold, and how many there are.

    Groups with an incident and groups without are dealt each by themselves, so that every fold,
    and what is left without it, has both.
    """
    with_incident, without = clips.groups_with(1.0), clips.groups_without_incident()
    count = min(FOLDS, len(with_incident), max(2, len(without)))
    rng = np.random.default_rng(seed)
    of_group = np.zeros(int(clips.group.max()) + 1, np.int64)
    for groups in (with_incident, without):
        of_group[rng.permutation(groups)] = np.arange(len(groups)) % count
    return of_group[clips.group], count


def _trial(method: Method, clips: Clips, fold: npt.NDArray[np.int64], count: int) -> Trial:
    if method == "isotonic" and _lacking(clips, *LEAST_FOR_ISOTONIC):
        recordings, least_clips = LEAST_FOR_ISOTONIC
        needs = f"needs {recordings} recordings and {least_clips} clips of each kind"
        return Trial(method, None, reason=needs)
    probability = np.empty(len(clips))
    for number in range(count):
        out = fold == number
        inside = clips.chosen(~out)
        map_of_fold: Calibration = fitted(method, inside.score, inside.truth)
        probability[out] = map_of_fold.apply_all(clips.score[out])
    return Trial(method, float(log_losses(probability, clips.truth).mean()), 0.0, probability)


def _standard_error(difference: Floats, group: npt.NDArray[np.int64]) -> float:
    """Return the standard error of a mean over clips whose groups are the witnesses.

    The linearised variance of a ratio (Cochran, Sampling Techniques, 1977, section 6.5).
    """
    _, number = np.unique(group, return_inverse=True)
    sums = np.bincount(number, weights=difference)
    sizes = np.bincount(number).astype(np.float64)
    witnesses = len(sums)
    rests = sums - difference.mean() * sizes
    scale = witnesses / (witnesses - 1) if witnesses > 1 else 1.0
    return float(np.sqrt(scale * float(rests @ rests)) / len(difference))


def _lacking(clips: Clips, recordings: int, least_clips: int) -> str:
    """Say of what there is too little; nothing if there is enough."""
    there = (
        ("recordings with an incident", len(clips.groups_with(1.0)), recordings),
        ("recordings without one", len(clips.groups_without_incident()), recordings),
        ("clips of an incident", int(clips.truth.sum()), least_clips),
        ("clips without one", int((clips.truth == 0.0).sum()), least_clips),
    )
    return _listed(
        [
            f"{count} {noun}, {least} are needed ({least - count} more)"
            for noun, count, least in there
            if count < least
        ]
    )


def _listed(parts: Sequence[str]) -> str:
    return "; ".join(parts)
