"""Staging: which cameras there are, what happens before each, and the frames that come of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

import numpy as np

from edgewatch.pipeline.clips import ClipAssembler
from edgewatch.pipeline.frames import target_size
from edgewatch.pipeline.scenes.drawn.ride import BRAKING_SECONDS
from edgewatch.pipeline.scenes.incidents.catalogue import make_incident, make_twin
from edgewatch.pipeline.scenes.incidents.incident import Incident, Placement
from edgewatch.pipeline.scenes.scene import Scene
from edgewatch.pipeline.scenes.truth import FrameTruth, IncidentKind
from edgewatch.pipeline.types import CameraName, Clip, Frame, Pixels
from edgewatch.tools.training.commotions import COMMOTIONS, Commotion, Happening
from edgewatch.tools.training.places import Place, impact_footage
from edgewatch.tools.training.recipe import TrainingRecipe
from edgewatch.tools.training.treatment import Treatment

CLIP_FPS: Final = 4.0
CLIP_SECONDS: Final = 5.0
STRIDE_SECONDS: Final = 2.5
FRAME_PIXELS: Final = 63_504
"""How clips are cut: the defaults of `[clips]`. Trained on others, other figures would be usual."""

LEAST_SEEN: Final = 3
"""Frames with something of the incident that make a clip an incident's; fewer leave it unmarked."""
LEAST_SHARE: Final = 0.001
"""Of the picture that has to be changed for a frame to show something."""

AFTERMATH_SECONDS: Final = 2.0
"""After an impact the car stands: that looks like any stop."""

_SCALES = (0.8, 1.6)
_HEIGHTS: dict[str, float] = {
    "stopped_vehicle": 0.95,
    "debris": 0.45,
    "person_on_road": 1.0,
    "fall": 1.0,
    "smoke": 1.2,
    "flame": 0.9,
    "fire": 1.1,
}
"""Of the thing, in heights of a standing person."""
_FLOOD_RISES = (0.06, 0.2)


@dataclass(frozen=True, slots=True)
class Episode:
    """Something that happens before a camera, or its twin."""

    number: int
    kind: str
    """An incident's or a commotion's."""
    twin: bool
    warm: bool
    """Whether the engine knows the camera."""
    seed: int
    begins_seconds: float
    """Of the episode's footage, in the scene's own time; the incident begins later."""
    placement: Placement


@dataclass(frozen=True, slots=True)
class StagedCamera:
    """A camera and all that it will see. Pure data, but for the place's footage."""

    name: str
    place: Place
    seed: int
    treatment: Treatment
    held_out: bool
    episodes: tuple[Episode, ...]
    scene_seconds: float

    @property
    def needs_baseline(self) -> bool:
        """Whether any episode is judged by an engine that knows the camera."""
        return any(one.warm for one in self.episodes)


@dataclass(frozen=True, slots=True)
class Staged:
    """The clips of one stretch, and how many frames of each show the incident."""

    clips: tuple[Clip, ...]
    seen: tuple[int, ...]


def stage(recipe: TrainingRecipe, places: Sequence[tuple[Place, int]]) -> list[StagedCamera]:
    """Return all cameras: so many of each place."""
    cameras = []
    for index, (place, count) in enumerate(places):
        held_out = _held_out(count, recipe.held_out)
        for number in range(count):
            rng = np.random.default_rng([recipe.seed, index, number])
            cameras.append(_camera(recipe, place, number, number >= count - held_out, rng))
    return cameras


def _held_out(count: int, share: float) -> int:
    """At least one of each place, where two are left to train on."""
    return max(1, round(count * share)) if share > 0 and count > 1 else 0


def _camera(
    recipe: TrainingRecipe, place: Place, number: int, held_out: bool, rng: np.random.Generator
) -> StagedCamera:
    treatment = Treatment.drawn_from(rng)
    seed = int(rng.integers(2**31))
    length = recipe.episode_seconds * treatment.speed
    begins = recipe.warm_seconds * treatment.speed
    episodes: list[Episode] = []
    # By chance and not in turn: kinds come in turn, and each is to be met warm and cold.
    colds = math.floor(recipe.pairs * recipe.cold_share + (number % 2) * 0.5)
    cold = set(rng.permutation(recipe.pairs)[:colds].tolist())
    for pair in range(recipe.pairs):
        kind = place.kinds[(number * recipe.pairs + pair) % len(place.kinds)]
        happening = Episode(
            number=2 * pair,
            kind=kind,
            twin=False,
            warm=pair not in cold,
            seed=int(rng.integers(2**31)),
            begins_seconds=begins,
            placement=_placement(place, kind, treatment, begins, length, rng),
        )
        episodes += [happening, replace(happening, number=2 * pair + 1, twin=True)]
        begins += length
    return StagedCamera(
        name=f"{place.name}-{number}",
        place=place,
        seed=seed,
        treatment=treatment,
        held_out=held_out,
        episodes=tuple(episodes),
        scene_seconds=begins + 1.0,
    )


def _placement(
    place: Place,
    kind: str,
    treatment: Treatment,
    begins_seconds: float,
    length_seconds: float,
    rng: np.random.Generator,
) -> Placement:
    left, top, right, bottom = treatment.crop
    inside = [
        index
        for index, (x, y) in enumerate(place.feet)
        if left + 0.08 < x < right - 0.08 and top < y < bottom - 0.02
    ] or list(range(len(place.feet)))
    which = inside[int(rng.integers(len(inside)))]
    height = place.person_heights[which] * _HEIGHTS.get(kind, 1.0) * float(rng.uniform(*_SCALES))
    if kind == "flood":
        height = float(rng.uniform(*_FLOOD_RISES))
    after = float(rng.uniform(0.35, 0.55)) * length_seconds
    return Placement(
        begins_seconds=begins_seconds + after,
        lasts_seconds=length_seconds - after,
        foot=place.feet[which],
        height=min(height, 0.8),
        camera=place.camera,
        horizon=place.horizon,
    )


class Projector:
    """Shows what a camera sees, as clips; one caller at a time."""

    def __init__(self, camera: StagedCamera, recipe: TrainingRecipe) -> None:
        self._camera = camera
        self._recipe = recipe
        self._drawn = camera.place.size(recipe.drawn_width)
        left, top, right, bottom = camera.treatment.crop
        across, down = self._drawn[0] * (right - left), self._drawn[1] * (bottom - top)
        self._size = target_size(round(across), round(down), FRAME_PIXELS)
        self._scene = camera.place.footage(camera.seed, self._drawn, camera.scene_seconds)

    def normal(self) -> Staged:
        """Return the footage that a baseline is learnt from."""
        return self._staged("warm", _Stretch(self._scene, 0.0), self._recipe.warm_seconds, 0)

    def episode(self, episode: Episode) -> Staged:
        """Return an episode's footage."""
        # Incident and twin get the same noise: only what happens may tell them apart.
        noise = 1 + episode.number // 2
        return self._staged(
            f"e{episode.number}", self._stretch(episode), self._recipe.episode_seconds, noise
        )

    def _stretch(self, episode: Episode) -> _Stretch:
        if episode.kind in COMMOTIONS:
            return _Stretch(
                self._scene,
                episode.begins_seconds,
                Happening(
                    cast(Commotion, episode.kind),
                    self._scene,
                    episode.seed,
                    episode.placement,
                    twin=episode.twin,
                ),
            )
        if episode.kind != "impact":
            make = make_twin if episode.twin else make_incident
            incident = make(cast(IncidentKind, episode.kind), episode.seed, episode.placement)
            return _Stretch(self._scene, episode.begins_seconds, incident)
        impact_seconds = episode.placement.begins_seconds + BRAKING_SECONDS
        drive = impact_footage(
            self._camera.seed,
            self._drawn,
            self._camera.scene_seconds,
            impact_seconds,
            twin=episode.twin,
        )
        over_seconds = impact_seconds + AFTERMATH_SECONDS
        return _Stretch(drive, episode.begins_seconds, None, over_seconds)

    def _staged(self, name: str, stretch: _Stretch, seconds: float, noise: int) -> Staged:
        moments = [
            stretch.moment(number / CLIP_FPS * self._camera.treatment.speed)
            for number in range(round(seconds * CLIP_FPS))
        ]
        rng = np.random.default_rng([self._camera.seed, noise])
        pictures = [picture for picture, _ in moments]
        treated = self._camera.treatment.applied(pictures, self._size, rng)
        clips = tuple(_cut(CameraName(f"{self._camera.name}-{name}"), treated))
        seen = tuple(sum(moments[frame.index][1] for frame in clip.frames) for clip in clips)
        return Staged(clips, seen)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Footage from some time on, and what is put into it."""

    scene: Scene
    begins_seconds: float
    incident: Incident | Happening | None = None
    over_seconds: float = math.inf
    """From then on nothing is to be learnt from what the scene itself tells."""

    def moment(self, after_seconds: float) -> tuple[Pixels, bool]:
        """Return the picture at a time, and whether it shows an incident."""
        wanted = round((self.begins_seconds + after_seconds) * self.scene.fps)
        index = min(wanted, self.scene.frame_count - 1)
        if isinstance(self.incident, Happening):
            return self.incident.moment(index / self.scene.fps)
        at = index / self.scene.fps
        picture, truth = self.scene.frame(index), self.scene.truth(index)
        if self.incident is not None:
            picture, truth = self.incident.compose(picture, at)
        return picture, _shows(truth) and at < self.over_seconds


def _shows(truth: FrameTruth) -> bool:
    """Whether there is enough of an incident in a picture to be learnt from."""
    return truth.anomalous and truth.mask is not None and float(truth.mask.mean()) >= LEAST_SHARE


def _cut(camera: CameraName, pictures: Sequence[Pixels]) -> Iterator[Clip]:
    assembler = ClipAssembler(
        camera, fps=CLIP_FPS, seconds=CLIP_SECONDS, stride_seconds=STRIDE_SECONDS, replay=True
    )
    for index, pixels in enumerate(pictures):
        at = index / CLIP_FPS
        if clip := assembler.add(Frame(camera, index, index, pixels, at, at, at)):
            yield clip
    if clip := assembler.end():
        yield clip
