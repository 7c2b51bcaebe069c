"""Tensors: what a network's inputs and outputs are, and values cast to them once, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused
from edgewatch.pipeline.scenes.diffusion.run import Array, Floats

DTYPES = (
    "float32",
    "float16",
    "bfloat16",
    "int32",
    "int64",
    "bool",
    "int8",
    "uint8",
    "float8_e4m3fn",
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output of a network."""

    name: str
    dtype: str
    """One of DTYPES."""
    shape: tuple[int | None, ...]
    """None: any length."""
    least: tuple[int, ...] | None = None
    most: tuple[int, ...] | None = None
    """What the plan was built for, both included; None: no plan, or nothing moves."""


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return NumPy's dtype of a name; those it lacks come from ml_dtypes."""
    if name not in DTYPES:
        raise SceneRefused(f"tensors of {name} are not known here: export the model again")
    if name in ("bfloat16", "float8_e4m3fn"):
        import ml_dtypes

        narrow: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return narrow
    return np.dtype(name)


def fit_inputs(
    part: str, inputs: Sequence[Tensor], arrays: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the arrays as the network wants them, contiguous.

    Raises SceneRefused, which names part and tensor, for a tensor that is missing or too many, for
    a shape outside what the network takes, and for values that its dtype cannot hold.
    """
    wanted = {tensor.name: tensor for tensor in inputs}
    if missing := sorted(wanted.keys() - arrays.keys()):
        raise SceneRefused(f"{part} wants {', '.join(missing)}, which it was not given")
    if extra := sorted(arrays.keys() - wanted.keys()):
        raise SceneRefused(f"{part} has no input {', '.join(extra)}: it is another model's export")
    return {name: _fitted(part, tensor, arrays[name]) for name, tensor in wanted.items()}


def fit_output(part: str, name: str, values: Array) -> Array:
    """Return an output, floats as float32. Raises SceneInvalid for NaN and infinity.

    NaN would go on through every later part and come out as a black picture.
    """
    if np.issubdtype(values.dtype, np.integer) or values.dtype == np.bool_:
        return values
    exact: Floats = values.astype(np.float32)
    wrong = int(exact.size - np.isfinite(exact).sum())
    if wrong:
        raise SceneInvalid(
            f"{part} gave {wrong} of {exact.size} values of {name} that are not finite: this "
            "precision does not suit the model here; take bf16 or fp32"
        )
    return exact


def _fitted(part: str, tensor: Tensor, values: Array) -> Array:
    _check_shape(part, tensor, values.shape)
    dtype = numpy_dtype(tensor.dtype)
    if values.dtype == dtype:
        return np.ascontiguousarray(values)
    whole = np.issubdtype(values.dtype, np.integer)
    if whole != (tensor.dtype.startswith(("int", "uint"))):
        raise SceneRefused(
            f"{part} wants {tensor.name} as {tensor.dtype}, and it was given {values.dtype}"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # asked for below, by name
        cast = np.ascontiguousarray(values).astype(dtype)
        back = cast.astype(values.dtype)
    held = np.array_equal(back, values) if whole else bool(np.isfinite(back).all())
    if not held and (whole or np.isfinite(values).all()):
        largest = np.abs(values).max()
        raise SceneRefused(
            f"{part}: {tensor.name} reaches {largest:g}, which {tensor.dtype} does not hold"
        )
    return cast


def _check_shape(part: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    right = len(shape) == len(tensor.shape) and all(
        wanted is None or given == wanted for given, wanted in zip(shape, tensor.shape, strict=True)
    )
    if right and tensor.least is not None and tensor.most is not None:
        bounds = zip(tensor.least, shape, tensor.most, strict=True)
        right = all(low <= given <= high for low, given, high in bounds)
    if right:
        return
    raise SceneRefused(
        f"{part} takes {tensor.name} of shape {_wanted(tensor)}, and was given {_written(shape)}: "
        "build it for this size"
    )


def _wanted(tensor: Tensor) -> str:
    if tensor.least is None or tensor.most is None:
        return _written(tensor.shape)
    if tensor.least == tensor.most:
        return _written(tensor.least)
    return f"{_written(tensor.least)} to {_written(tensor.most)}"


def _written(shape: Sequence[int | None]) -> str:
    return "x".join("any" if length is None else str(length) for length in shape)
