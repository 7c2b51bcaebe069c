"""The recipe of a training: all that decides what comes out. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from edgewatch.pipeline.errors import SceneRefused

SCHEMA: Final = 1
_MOST_CAMERAS = 200
_MOST_PAIRS = 50


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """Which cameras are drawn, what happens before them, and how the combiner is fitted.

    The same recipe, with the same versions of the libraries, gives the same weights.
    """

    name: str = "full"
    seed: int = 1
    drives: int = 8
    """Drawn drives (cameras that move), each with a seed, a look and a baseline of its own."""
    yards: int = 4
    corridors: int = 3
    walkways: int = 3
    """Looks at the recorded walkway of `samples/`."""
    held_out: float = 0.3
    """Share of the cameras of each place that are never trained on."""
    pairs: int = 6
    """Incidents a camera, each with its harmless twin."""
    cold_share: float = 0.5
    """Share of the pairs judged by an engine that never saw this camera."""
    warm_seconds: float = 75.0
    """Normal footage that a camera's baseline is learnt from."""
    episode_seconds: float = 12.5
    drawn_width: int = 448
    """Of drawn scenes, pixels, before cropping."""
    penalties: tuple[float, ...] = (3.0, 10.0, 30.0, 100.0)
    """Strengths of the ridge that are tried, by leaving one camera out."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained. Raises SceneRefused, which names the field."""
        for field, low, high in (
            *((place, 0, _MOST_CAMERAS) for place in ("drives", "yards", "corridors", "walkways")),
            ("seed", 0, 2**31 - 1),
            ("held_out", 0.0, 0.6),
            ("pairs", 1, _MOST_PAIRS),
            ("cold_share", 0.0, 1.0),
            ("warm_seconds", 5.0, 600.0),
            ("episode_seconds", 7.5, 60.0),
            ("drawn_width", 96, 1920),
        ):
            value = getattr(self, field)
            if not low <= value <= high:
                raise SceneRefused(
                    f"recipe: {field} is {value:g}, and has to be {low:g} to {high:g}"
                )
        if not self.penalties or any(not 0 < one < math.inf for one in self.penalties):
            raise SceneRefused("recipe: penalties are one or more figures above 0")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it, with its schema."""
        return {"schema": SCHEMA, **dataclasses.asdict(self), "penalties": list(self.penalties)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave. Raises SceneRefused for any other document."""
        known = {field.name: field for field in dataclasses.fields(cls)}
        if document.get("schema") != SCHEMA:
            raise SceneRefused(f"recipe: its schema is {document.get('schema')!r}, not {SCHEMA}")
        given = {name: value for name, value in document.items() if name != "schema"}
        if set(given) != set(known):
            wrong = ", ".join(sorted(set(given) ^ set(known)))
            raise SceneRefused(f"recipe: these fields are missing or unknown: {wrong}")
        for name, value in given.items():
            model = known[name].default
            if isinstance(model, tuple):
                fits = isinstance(value, list) and all(_is_number(one) for one in value)
            elif isinstance(model, str):
                fits = isinstance(value, str)
            elif isinstance(model, int):
                fits = isinstance(value, int) and not isinstance(value, bool)
            else:
                fits = _is_number(value)
            if not fits:
                raise SceneRefused(f"recipe: {name} is {value!r}, which it cannot be")
        return cls(**{**given, "penalties": tuple(float(one) for one in given["penalties"])})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


RECIPES: Final[Mapping[str, TrainingRecipe]] = {
    "quick": TrainingRecipe(
        name="quick", drives=2, yards=1, corridors=1, walkways=1, pairs=2, held_out=0.0
    ),
    "full": TrainingRecipe(),
}
"""By name; quick takes about a minute and says only whether all parts work together."""
