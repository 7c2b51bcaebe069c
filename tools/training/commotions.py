"""Commotions: incidents for training alone, made of the footage's own pictures.

They look like little and move like much: pieces of the picture that meet and struggle, collide or
come at the camera, and the camera that is thrown about, spins or is stopped. A combiner that sees
no appearance needs no more; for showing to people they are nothing. Each has its harmless twin: the
same pieces pass each other, the same camera goes over a bump or round a bend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

import cv2
import numpy as np

from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.noise import Field
from edgewatch.pipeline.scenes.scene import Scene
from edgewatch.pipeline.types import Pixels

Commotion = Literal["scuffle", "collision", "rush", "jolt", "spin", "struck"]
FIXED: Final[tuple[Commotion, ...]] = ("scuffle", "collision", "rush")
DRIVING: Final[tuple[Commotion, ...]] = ("jolt", "spin", "struck")
COMMOTIONS: Final[tuple[str, ...]] = get_args(Commotion)

_PIECE_PIXELS: Final = 64
_HURRY: Final = (2.5, 4.0)
_TWIN_HURRY: Final = (1.1, 1.35)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a piece is: middle in parts of width and height, height in parts, angle."""

    x: float
    y: float
    height: float
    radians: float = 0.0


class Happening:
    """One commotion, or its twin; any time can be asked for in any order."""

    def __init__(
        self, kind: Commotion, scene: Scene, seed: int, placement: Placement, *, twin: bool
    ) -> None:
        """Choose all that is left to chance; a twin gets the same chances."""
        self._kind, self._scene, self._placement, self._twin = kind, scene, placement, twin
        rng = np.random.default_rng(seed)
        self._side = float(rng.choice((-1.0, 1.0)))
        self._strength = float(rng.uniform(0.6, 1.4))
        self._hurry = float(rng.uniform(*(_TWIN_HURRY if twin else _HURRY)))
        self._phases = rng.uniform(0, 2 * np.pi, (2, 4))
        self._rates = rng.uniform(0.7, 2.6, (2, 4))
        self._pieces = [_piece(scene, rng) for _ in range(2)]

    def moment(self, at_seconds: float) -> tuple[Pixels, bool]:
        """Return the picture at a time of the scene, and whether it shows an incident."""
        since = at_seconds - self._placement.begins_seconds
        scene = self._scene
        index = min(
            round(self._scene_seconds(at_seconds, since) * scene.fps), scene.frame_count - 1
        )
        picture = scene.frame(index)
        if since < 0:
            return picture, False
        picture = self._shaken(picture, since)
        for piece, pose in zip(self._pieces, self._poses(since), strict=False):
            picture = _pasted(picture, piece, pose)
        return picture, not self._twin and self._is_on(since)

    def _is_on(self, since: float) -> bool:
        """The coming closer is as in the twin; what follows lasts, or is soon over."""
        match self._kind:
            case "scuffle":
                return since >= 1.5
            case "collision":
                return 1.2 <= since < 4.0
            case "rush":
                return since < 5.0
            case "struck":
                return 0.5 <= since < 3.5
            case _:
                return since < 2.5

    def _scene_seconds(self, at: float, since: float) -> float:
        """Time runs faster when people run, and stands when the car does."""
        if since <= 0:
            return at
        if self._kind == "rush":
            return at + (self._hurry - 1.0) * min(since, 5.0)
        stops = self._kind in ("jolt", "struck") and self._side > 0
        if not stops:
            return at
        ease = 3.0 if self._twin else 0.25
        return at - since + ease * (1.0 - math.exp(-since / ease))

    def _shaken(self, picture: Pixels, since: float) -> Pixels:
        """Throw the camera about."""
        height, width = picture.shape[:2]
        swing = 2 * math.pi * since
        if self._kind == "spin":
            far, takes = (0.15, 4.0) if self._twin else (0.7 * self._strength, 1.2)
            turned = far * width * self._side * (1.0 - math.exp(-((since / takes) ** 2)))
            return _moved(picture, turned, 0.0, 0.0)
        if self._kind not in ("jolt", "struck"):
            return picture
        blow = since if self._kind == "jolt" else since - 0.8
        if blow < 0:
            return picture
        force = self._strength * math.exp(-blow / 0.4) * (0.12 if self._twin else 1.0)
        up = 0.09 * height * force * math.cos(3.3 * swing + self._phases[0, 0])
        aside = 0.0 if self._twin else 0.06 * width * force * math.cos(2.1 * swing)
        roll = 0.0 if self._twin else 0.08 * force * math.sin(2.7 * swing)
        return _moved(picture, aside, up, roll)

    def _poses(self, since: float) -> list[Pose]:
        x, y = self._placement.foot
        tall = self._placement.height
        y -= 0.5 * tall
        match self._kind:
            case "scuffle":
                return self._meeting(since, x, y, tall, arrives=1.5, reach=0.35)
            case "collision":
                return self._colliding(since, x, y, 1.2 * tall)
            case "struck":
                return [self._coming(since, x, y)]
        return []

    def _meeting(
        self, since: float, x: float, y: float, tall: float, *, arrives: float, reach: float
    ) -> list[Pose]:
        poses = []
        for which, side in enumerate((self._side, -self._side)):
            away = side * reach * (arrives - since) / arrives
            if self._twin or since < arrives:
                bob = 0.02 * tall * math.sin(2 * math.pi * 1.8 * since + which)
                poses.append(Pose(x + away, y + bob, tall))
                continue
            fight = since - arrives
            sways = np.sin(2 * np.pi * self._rates[which] * fight + self._phases[which])
            poses.append(
                Pose(
                    x + side * 0.12 * tall + 0.22 * tall * float(sways[0]) * self._strength,
                    y + 0.16 * tall * float(sways[1]),
                    tall * (1.0 + 0.15 * float(sways[2])),
                    0.6 * float(sways[3]) * self._strength,
                )
            )
        return poses

    def _colliding(self, since: float, x: float, y: float, tall: float) -> list[Pose]:
        crash, speed = 1.2, 0.35 * self._strength
        lane = 0.0 if not self._twin else 0.6 * tall
        poses = []
        for side in (self._side, -self._side):
            away = side * speed * (crash - since)
            turned = 0.0
            if not self._twin and since >= crash:
                after = 1.0 - math.exp(-(since - crash) / 0.25)
                away = -side * 0.10 * after
                turned = side * 1.3 * after
            poses.append(Pose(x + away, y + (lane if side > 0 else 0.0), tall, turned))
        return poses

    def _coming(self, since: float, x: float, y: float) -> Pose:
        """Comes at the camera and stays before it; the twin passes by at the side."""
        near = 1.0 / max(0.12, 1.0 - since / 0.85)
        height = min(0.08 * near, 0.75 * self._strength)
        if self._twin:
            gone = 0.6 * max(0.0, since - 0.7)
            return Pose(x + self._side * (0.06 * near + gone), y + 0.02 * near, 0.08 * near)
        return Pose(x + self._side * 0.2 * math.exp(-since), y + 0.01 * min(near, 8.0), height)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    colour: Pixels
    cover: Field


def _piece(scene: Scene, rng: np.random.Generator) -> _Piece:
    """Cut an oval out of the footage, darker or lighter than it was."""
    picture = scene.frame(int(rng.integers(scene.frame_count)))
    height, width = picture.shape[:2]
    tall = int(height * rng.uniform(0.15, 0.35))
    wide = max(4, int(tall * rng.uniform(0.5, 1.1)))
    top, left = int(rng.integers(height - tall)), int(rng.integers(max(1, width - wide)))
    size = (max(8, int(_PIECE_PIXELS * wide / tall)), _PIECE_PIXELS)
    cut = cv2.resize(picture[top : top + tall, left : left + wide], size)
    tone = float(rng.choice((0.45, 0.65, 1.4, 1.8)))
    rows, columns = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j]
    cover = np.clip(6.0 * (1.0 - np.abs(rows) ** 3 - np.abs(columns) ** 3), 0, 1)
    toned = np.clip(cut.astype(np.float32) * tone, 0, 255)
    return _Piece(toned.astype(np.uint8), cover.astype(np.float32))


def _pasted(picture: Pixels, piece: _Piece, pose: Pose) -> Pixels:
    height, width = picture.shape[:2]
    rows, columns = piece.cover.shape
    scale = pose.height * height / rows
    if scale <= 0.02:
        return picture
    matrix = cv2.getRotationMatrix2D(
        ((columns - 1) / 2, (rows - 1) / 2), math.degrees(pose.radians), scale
    )
    matrix[0, 2] += pose.x * width - columns / 2
    matrix[1, 2] += pose.y * height - rows / 2
    cover = cv2.warpAffine(piece.cover, matrix, (width, height))[..., None]
    colour = cv2.warpAffine(piece.colour, matrix, (width, height))
    mixed = picture + (colour.astype(np.float32) - picture) * cover
    return np.ascontiguousarray(np.rint(mixed), np.uint8)


def _moved(picture: Pixels, right: float, down: float, radians: float) -> Pixels:
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), math.degrees(radians), 1.0)
    matrix[0, 2] += right
    matrix[1, 2] += down
    moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.ascontiguousarray(moved, np.uint8)
