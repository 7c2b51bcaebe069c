"""Figure: a person drawn as limbs in space, at any size, in any posture, seen from any side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.cutout import Cutout
from edgewatch.pipeline.scenes.posture import (
    ARM_LEFT,
    ARM_RIGHT,
    HEAD,
    HIPS,
    LEG_LEFT,
    LEG_RIGHT,
    SHOULDERS,
    Joints,
    Pose,
    joints_of,
)

Colour = tuple[int, int, int]
"""8-bit RGB."""
Light = tuple[float, float, float]
"""What light does to red, green and blue: factors, 1 leaves a colour as it is."""

DAYLIGHT: Final[Light] = (1.0, 1.0, 1.0)

_TOPS: Final[tuple[Colour, ...]] = (
    (48, 62, 92), (122, 40, 38), (198, 196, 188), (58, 84, 62),
    (34, 36, 40), (176, 130, 62), (92, 98, 108), (212, 112, 40),
)  # fmt: skip
_TROUSERS: Final[tuple[Colour, ...]] = (
    (38, 44, 62), (58, 56, 54), (96, 88, 74), (30, 30, 33), (64, 78, 104),
)  # fmt: skip
_SKINS: Final[tuple[Colour, ...]] = ((226, 182, 154), (196, 144, 112), (140, 96, 70), (92, 62, 46))
_HAIR: Final[tuple[Colour, ...]] = ((38, 30, 26), (82, 58, 38), (150, 120, 78), (120, 118, 116))
_SHOES: Final[tuple[Colour, ...]] = ((26, 24, 24), (78, 54, 38), (196, 194, 190))

_FINE_BELOW_PIXELS: Final = 220.0
"""Smaller figures are drawn twice as large and averaged down: thin limbs keep their edges."""
_CIRCLE: Final = np.linspace(0.0, 2 * np.pi, 13)[:-1]
_TONES: Final = ((0.74, 1.0, 0.0), (1.06, 0.66, 0.26))
"""Shaded and lit: brightness, how much of the thickness, how far towards the light."""
_HEEL: Final = np.array((0.0, 0.012, 0.0))
_CHIN: Final = np.array((0.0, 0.022, 0.0))
_UNIT: Final = np.column_stack([np.cos(_CIRCLE), np.sin(_CIRCLE)])


@dataclass(frozen=True, slots=True)
class Clothes:
    """What a figure wears, and its skin and hair."""

    top: Colour = (48, 62, 92)
    trousers: Colour = (58, 56, 54)
    shoes: Colour = (26, 24, 24)
    skin: Colour = (196, 144, 112)
    hair: Colour = (38, 30, 26)

    @classmethod
    def chosen(cls, rng: np.random.Generator) -> Clothes:
        """Choose at random what goes together well enough."""

        def one(colours: Sequence[Colour]) -> Colour:
            return colours[int(rng.integers(len(colours)))]

        return cls(one(_TOPS), one(_TROUSERS), one(_SHOES), one(_SKINS), one(_HAIR))


@dataclass(frozen=True, slots=True)
class _Part:
    """A convex piece: discs about points of the picture, and what is between them."""

    discs: npt.NDArray[np.float64]
    """Rows of x, y (to the right and down, in body heights), radius."""
    depth: float
    """Away from the viewer; what is farther is drawn first."""
    colour: Colour


def draw_figure(
    height_pixels: float,
    foot: tuple[float, float],
    pose: Pose = "standing",
    *,
    phase: float = 0.0,
    progress: float = 1.0,
    heading: float = 0.0,
    tilt: float = 0.18,
    clothes: Clothes | None = None,
    light: Light = DAYLIGHT,
) -> Cutout:
    """Draw a person who, standing, would be `height_pixels` tall, with the ground at `foot`.

    `phase` is in radians: one turn is two steps (see `posture.STRIDE_OF_HEIGHT`), or one sway of
    who stands. `progress` 0 to 1 is how far a fall or sitting down has come. `heading` is where
    the person faces, in radians: 0 to the right, pi / 2 away from the viewer, -pi / 2 towards.
    `tilt` is how steeply the camera looks down, in radians. Places are edges of pixels. The same
    arguments give the same pixels. Raises ValueError unless the height is above 0.
    """
    if not height_pixels > 0:
        raise ValueError(f"height_pixels must be above 0, not {height_pixels}")
    seen = _seen(joints_of(pose, phase, progress), heading, tilt)
    parts = _parts(seen, clothes or Clothes())
    return _rendered(parts, height_pixels, foot, light)


def _seen(joints: Joints, heading: float, tilt: float) -> npt.NDArray[np.float64]:
    """Project (forward, left, up) to (right, down, away from the viewer), in body heights."""
    forward, left, up = joints.T
    across = forward * np.cos(heading) - left * np.sin(heading)
    away = forward * np.sin(heading) + left * np.cos(heading)
    return np.column_stack([across, -up - away * np.sin(tilt), away])


def _parts(seen: npt.NDArray[np.float64], clothes: Clothes) -> list[_Part]:
    """Dress the joints, from far to near."""

    def part(colour: Colour, nearer: float, *discs: tuple[npt.NDArray[np.float64], float]) -> _Part:
        rows = np.array([(place[0], place[1], radius) for place, radius in discs])
        depth = sum(float(place[2]) for place, _ in discs) / len(discs)
        return _Part(rows, depth - nearer, colour)

    parts = []
    for leg in (LEG_LEFT, LEG_RIGHT):
        hip, knee, ankle, toe = seen[leg]
        parts += [
            part(clothes.shoes, 0.0, (ankle + _HEEL, 0.027), (toe, 0.019)),
            part(clothes.trousers, 0.001, (knee, 0.040), (ankle, 0.027)),
            part(clothes.trousers, 0.002, (hip, 0.058), (knee, 0.040)),
        ]
    for arm in (ARM_LEFT, ARM_RIGHT):
        shoulder, elbow, hand = seen[arm]
        sleeve = _mixed(clothes.top, (0, 0, 0), 0.1)
        wrist = elbow + 0.86 * (hand - elbow)
        parts += [
            part(clothes.skin, 0.0, (wrist, 0.018), (hand, 0.021)),
            part(sleeve, 0.001, (elbow, 0.030), (wrist, 0.023)),
            part(sleeve, 0.002, (shoulder, 0.038), (elbow, 0.031)),
        ]
    shoulders, hips = seen[SHOULDERS], seen[HIPS]
    chest = [(place, 0.052) for place in shoulders] + [(place, 0.062) for place in hips]
    crown, face, neck = seen[HEAD]
    return sorted(
        [
            *parts,
            # Over the hips, under an arm that is nearer.
            part(clothes.top, 0.06, *chest),
            part(_mixed(clothes.skin, (0, 0, 0), 0.25), 0.0, (neck, 0.030), (face, 0.026)),
            part(clothes.hair, 0.004, (crown, 0.061)),
            part(clothes.skin, 0.004, (face, 0.050), (face + _CHIN, 0.038)),
        ],
        key=lambda one: -one.depth,
    )


def _rendered(
    parts: list[_Part], height_pixels: float, foot: tuple[float, float], light: Light
) -> Cutout:
    fine = 2 if height_pixels < _FINE_BELOW_PIXELS else 1
    discs = np.concatenate([part.discs for part in parts])
    low = (discs[:, :2] - discs[:, 2:]).min(axis=0)
    high = (discs[:, :2] + discs[:, 2:]).max(axis=0)
    left, top = (int(v) for v in np.floor(foot + low * height_pixels) - 2)
    right, bottom = (int(v) for v in np.ceil(foot + high * height_pixels) + 2)
    layer = np.zeros(((bottom - top) * fine, (right - left) * fine, 4), np.uint8)
    origin = (np.array(foot) - (left, top)) * fine
    scale = height_pixels * fine
    _draw(layer, parts, scale, origin, light)
    if fine > 1:
        size = (right - left, bottom - top)
        layer = np.asarray(cv2.resize(layer, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Cutout(layer, left, top)


def _draw(
    layer: npt.NDArray[np.uint8],
    parts: list[_Part],
    scale: float,
    origin: npt.NDArray[np.float64],
    light: Light,
) -> None:
    """Fill each piece in its shaded colour, and its upper left side in the lit one."""
    discs = np.concatenate([part.discs for part in parts])
    outlines = []
    for _, shrunk, shift in _TONES:
        centres = discs[:, :2] - (discs[:, 2] * shift)[:, None] * (0.9, 0.5)
        rims = centres[:, None, :] + (discs[:, 2] * shrunk)[:, None, None] * _UNIT
        points = (rims * scale + (origin - 0.5)) * 16
        outlines.append(np.rint(points).astype(np.int32))
    first = 0
    for part in parts:
        last = first + len(part.discs)
        for (tone, _, _), outline in zip(_TONES, outlines, strict=True):
            colour = [min(255.0, c * tone * f) for c, f in zip(part.colour, light, strict=True)]
            hull = cv2.convexHull(outline[first:last].reshape(-1, 2))
            cv2.fillConvexPoly(layer, hull, (*colour, 255.0), cv2.LINE_AA, 4)
        first = last


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
