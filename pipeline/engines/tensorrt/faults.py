"""Faults of TensorRT-LLM sorted by what they concern: this clip, perhaps the engine, all. Pure.

A failed forward pass is told to every active request, and then the executor's thread dies: what is
handed in later is accepted and never answered (TensorRT-LLM 1.2, _torch/pyexecutor/py_executor.py;
NVIDIA/TensorRT-LLM issue 13318). So whatever is not clearly about one clip is followed by a trial.
"""

from __future__ import annotations

import re
from enum import Enum

_ABOUT_INPUT = re.compile(r"should not exceed max_num_tokens|prompt is invalid|input not supported")


class Concern(Enum):
    """What a fault concerns."""

    CLIP = "clip"
    """This clip cannot be judged; the next may."""
    SUSPECT = "suspect"
    """The engine may be dead: try."""
    ENGINE = "engine"
    """The engine is gone."""


def concern_of_submit(error: Exception) -> Concern:
    """Sort what `generate_async` raised: it checks and prepares the input before it hands it on."""
    if isinstance(error, ValueError | TypeError | AttributeError | IndexError | AssertionError):
        return Concern.CLIP
    if type(error).__name__ == "RequestError":
        return Concern.SUSPECT
    return Concern.ENGINE  # "LLM is shutting down", and what nobody has seen


def concern_of_result(error: Exception) -> Concern:
    """Sort what a result raised: RequestErrors are the request's, all else the background's."""
    if type(error).__name__ != "RequestError":
        return Concern.ENGINE
    return Concern.CLIP if _ABOUT_INPUT.search(str(error)) else Concern.SUSPECT
