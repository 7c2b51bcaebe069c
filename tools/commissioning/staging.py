"""Staging: a trial's incident put into a stretch of normal footage, ready for the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edgewatch.config.sections import Clips
from edgewatch.pipeline.scenes.incidents.catalogue import make_incident, make_twin
from edgewatch.pipeline.scenes.incidents.incident import CameraKind
from edgewatch.pipeline.types import CameraName, Frame, Pixels
from edgewatch.tools.commissioning.normal import Stretch
from edgewatch.tools.commissioning.trial import Trial

LASTS_SECONDS = 8.0
"""How long an incident goes on: long enough for the clips that the usual rules ask for."""
_QUALITY = 70
_WIDEST = 240


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """A trial, ready to be judged."""

    trial: Trial
    frames: Stretch
    begins_seconds: float
    """Media time of the first changed pixel."""
    ends_seconds: float
    changed_share: float
    """Of the picture: the most that the incident changed in one frame, 0 to 1."""
    jpeg: bytes
    """The picture in which it changed the most."""


def stage(
    trial: Trial, stretches: Sequence[Stretch], cut: Clips, camera: CameraName, kind: CameraKind
) -> Staged:
    """Put a trial's incident into a stretch that the trial's seed chooses.

    Footage shorter than the trial goes to and fro, so that it has no jump in it.
    """
    random = np.random.default_rng([trial.seed, 5])
    # Within the first clip's last stride, so that incidents lie anywhere against the windows
    begins_seconds = cut.seconds - float(random.uniform(0.0, cut.stride_seconds))
    length = round((begins_seconds + LASTS_SECONDS) * cut.fps)
    frames = taken(stretches, length, random, camera, cut.fps)
    placement = trial.placement(begins_seconds, LASTS_SECONDS, kind)
    make = make_twin if trial.harmless else make_incident
    incident = make(trial.kind, trial.seed, placement)
    composed: list[Frame] = []
    changed_share, peak = 0.0, frames[0].pixels
    for frame in frames:
        pixels, truth = incident.compose(frame.pixels, frame.media_seconds)
        pixels = _hidden(pixels, frame)
        share = 0.0 if truth.mask is None else float(truth.mask.mean())
        if share > changed_share:
            changed_share, peak = share, pixels
        composed.append(replace(frame, pixels=pixels))
    return Staged(
        trial,
        tuple(composed),
        begins_seconds,
        min(incident.ends_seconds, composed[-1].media_seconds),
        changed_share,
        picture_of(peak),
    )


def taken(
    stretches: Sequence[Stretch],
    length: int,
    random: np.random.Generator,
    camera: CameraName,
    fps: float,
) -> list[Frame]:
    """Take frames of a stretch, of long ones more often; times begin at 0."""
    weights = np.array([len(one) for one in stretches], np.float64)
    stretch = stretches[int(random.choice(len(stretches), p=weights / weights.sum()))]
    first = int(random.integers(max(1, len(stretch) - length + 1)))
    places = _to_and_fro(len(stretch), first, length)
    return [
        replace(
            stretch[place],
            camera=camera,
            index=number,
            slot=number,
            media_seconds=number / fps,
            time_seconds=number / fps,
            captured_seconds=0.0,
        )
        for number, place in enumerate(places)
    ]


def _to_and_fro(available: int, first: int, length: int) -> list[int]:
    period = max(1, 2 * (available - 1))
    turns = [(first + number) % period for number in range(length)]
    return [turn if turn < available else period - turn for turn in turns]


def _hidden(pixels: Pixels, frame: Frame) -> Pixels:
    """Leave regions that are ignored as they are: what happens there is not judged."""
    if frame.ignored is None:
        return pixels
    hidden = np.where(frame.ignored[..., None], frame.pixels, pixels)
    hidden.setflags(write=False)
    return hidden


def picture_of(pixels: Pixels) -> bytes:
    """Return a small JPEG of a picture."""
    height, width = pixels.shape[:2]
    if width > _WIDEST:
        size = (_WIDEST, round(height * _WIDEST / width))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
