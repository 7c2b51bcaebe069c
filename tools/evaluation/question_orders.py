"""Engines of an evaluation in both orders: question behind the video, and before it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from edgewatch.config.errors import ConfigError
from edgewatch.tools.evaluation.choice import EngineChoice
from edgewatch.tools.evaluation.evaluation import Evaluation
from edgewatch.tools.evaluation.statistics.orders import OrderComparison, compare_orders

ORDERED = ("transformers", "native", "tensorrt")
"""Kinds that are given the order of a prompt."""
FIRST = " (question first)"
"""What the name of an engine ends in that is asked before the video."""


def in_both_orders(choices: Sequence[EngineChoice]) -> tuple[EngineChoice, ...]:
    """Return each engine that has an order twice, question behind the video and then before it.

    Scores are compared as the model gives them: a calibration is fitted for one order alone. Raises
    ConfigError if no engine has one.
    """
    found: list[EngineChoice] = []
    for one in choices:
        if one.settings.engine.kind in ORDERED:
            found += [_asked(one, first=False), _asked(one, first=True)]
        else:
            found.append(one)
    if len(found) == len(choices):
        raise ConfigError(
            f"--question-orders: name a model with --engine, of {', '.join(ORDERED)}; the builtin "
            "engine is asked nothing, and servers put the video first"
        )
    return tuple(found)


def compared_orders(evaluation: Evaluation, *, seed: int) -> tuple[OrderComparison, ...]:
    """Hold both orders of each engine together."""
    runs = {run.asked: run for run in evaluation.runs}
    return tuple(
        compare_orders(run, runs[name + FIRST], seed=seed)
        for name, run in runs.items()
        if name + FIRST in runs
    )


def _asked(choice: EngineChoice, *, first: bool) -> EngineChoice:
    engine = choice.settings.engine.model_copy(
        update={"question_first": first, "calibration": "none"}
    )
    settings = choice.settings.model_copy(update={"engine": engine})
    return EngineChoice(choice.name + FIRST if first else choice.name, settings)
