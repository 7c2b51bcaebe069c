"""Run: how the arithmetic asks for one pass of a network, whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""Of any dtype and shape."""
Floats = npt.NDArray[np.float32]
"""float32 of any shape."""


class Run(Protocol):
    """One pass of the network `part`, with exactly its inputs by name; all outputs by name.

    Floats go in and come out as float32; whoever runs it casts to what the network wants.
    """

    def __call__(self, part: str, /, **arrays: Array) -> Mapping[str, Array]:
        """Raises SceneInvalid for NaN, SceneUnavailable where the network cannot run."""


class OnStep(Protocol):
    """Is told after each step of denoising: steps done, steps in all."""

    def __call__(self, done: int, steps: int, /) -> None:
        """What it raises ends the picture."""


def no_report(_done: int, _steps: int, /) -> None:
    """Take a step without telling anybody."""
