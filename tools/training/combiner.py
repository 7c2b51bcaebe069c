"""Combiner: from a clip's features to the odds of an incident; its weights as a small JSON file.

Two forms. `logistic`: a weighted sum of the features, each scaled as it was in training. `stumps`:
a sum of steps, each at one threshold of one feature (J. Friedman, Annals of Statistics 29 (2001)
1189, with trees of one split): still additive, so that each feature's part can be told.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.tools.training.features import NAMES

Floats = npt.NDArray[np.float64]
Form = Literal["logistic", "stumps"]

SCHEMA: Final = 1
CAMERA_KINDS: Final = ("fixed", "driving")
MOST_BYTES: Final = 200_000


class Model(Protocol):
    """What gives odds."""

    @property
    def form(self) -> Form:
        """As the file names it."""

    def log_odds(self, features: Floats) -> Floats:
        """Return the logarithm of the odds of each row, (rows, len(NAMES)) -> (rows,)."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """A weighted sum."""

    centre: Floats
    scale: Floats
    """Above 0; as `centre` and `weights` (len(NAMES),)."""
    weights: Floats
    bias: float

    @property
    def form(self) -> Form:
        """As the file names it."""
        return "logistic"

    def log_odds(self, features: Floats) -> Floats:
        """Return the logarithm of the odds of each row."""
        scaled = (features - self.centre) / self.scale
        return np.asarray(scaled @ self.weights + self.bias, np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "form": self.form,
            "bias": self.bias,
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "weights": self.weights.tolist(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Stumps:
    """A sum of steps."""

    feature: npt.NDArray[np.int64]
    """Index into NAMES of each step; as the others, (steps,)."""
    threshold: Floats
    below: Floats
    """What a value below or at the threshold adds."""
    above: Floats
    bias: float

    @property
    def form(self) -> Form:
        """As the file names it."""
        return "stumps"

    def log_odds(self, features: Floats) -> Floats:
        """Return the logarithm of the odds of each row."""
        higher = features[:, self.feature] > self.threshold
        return np.asarray(
            np.where(higher, self.above, self.below).sum(axis=1) + self.bias, np.float64
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "form": self.form,
            "bias": self.bias,
            "feature": self.feature.tolist(),
            "threshold": self.threshold.tolist(),
            "below": self.below.tolist(),
            "above": self.above.tolist(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Combiner:
    """The models of both kinds of camera, and what made them."""

    models: Mapping[str, Model]
    """By `CameraKind`; one that was not trained is missing."""
    made_of: Mapping[str, Any]
    """Recipe, versions, counts and figures, for people; nothing depends on it."""

    def to_bytes(self) -> bytes:
        """Return the file: JSON, with the features' names, so that others are not mistaken."""
        document = {
            "schema": SCHEMA,
            "features": list(NAMES),
            "models": {kind: self.models[kind].to_json() for kind in sorted(self.models)},
            "made_of": self.made_of,
        }
        return (json.dumps(_rounded(document), allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` gave. Raises SceneInvalid for anything else."""
        if len(data) > MOST_BYTES:
            raise SceneInvalid(f"weights: {len(data)} bytes are more than {MOST_BYTES}")
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise SceneInvalid(f"weights: no JSON: {error}") from error
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise SceneInvalid(f"weights: not a weights file of schema {SCHEMA}")
        if document.get("features") != list(NAMES):
            raise SceneInvalid("weights: made for other features; train anew")
        models = document.get("models")
        if not isinstance(models, dict) or not models or not set(models) <= set(CAMERA_KINDS):
            raise SceneInvalid(f"weights: models are of {' and '.join(CAMERA_KINDS)}, no others")
        made_of = document.get("made_of")
        return cls(
            {kind: _model(kind, model) for kind, model in models.items()},
            made_of if isinstance(made_of, dict) else {},
        )


def read_combiner(path: Path) -> Combiner:
    """Read weights. Raises OSError, SceneInvalid."""
    try:
        return Combiner.from_bytes(path.read_bytes())
    except SceneInvalid as error:
        raise SceneInvalid(f"{path}: {error}") from error


def _model(kind: str, document: object) -> Model:
    if not isinstance(document, dict):
        raise SceneInvalid(f"weights: the model of {kind} is no object")
    bias = float(_array(kind, document, "bias", ())[()])
    if document.get("form") == "logistic":
        shape = (len(NAMES),)
        scale = _array(kind, document, "scale", shape)
        if (scale <= 0).any():
            raise SceneInvalid(f"weights: the model of {kind} has a scale of 0 or less")
        return Logistic(
            _array(kind, document, "centre", shape),
            scale,
            _array(kind, document, "weights", shape),
            bias,
        )
    if document.get("form") == "stumps":
        steps = document.get("feature")
        shape = (len(steps) if isinstance(steps, list) else 0,)
        feature = _array(kind, document, "feature", shape)
        if ((feature < 0) | (feature >= len(NAMES)) | (feature % 1 != 0)).any():
            raise SceneInvalid(f"weights: the model of {kind} names a feature that is not there")
        return Stumps(
            feature.astype(np.int64),
            _array(kind, document, "threshold", shape),
            _array(kind, document, "below", shape),
            _array(kind, document, "above", shape),
            bias,
        )
    raise SceneInvalid(f"weights: the model of {kind} is of an unknown form")


def _array(kind: str, document: Mapping[str, object], name: str, shape: tuple[int, ...]) -> Floats:
    try:
        values = np.array(document[name], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise SceneInvalid(f"weights: {name} of {kind} is missing or no figures") from error
    if values.shape != shape or not np.isfinite(values).all():
        raise SceneInvalid(
            f"weights: {name} of {kind} is {values.shape}, not {shape}, or not finite"
        )
    return values


def _rounded(value: Any) -> Any:
    """Round figures to five significant digits: the rest says nothing, and is a third of a file."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
