"""Stills: a camera's picture with a grid and its ignored regions, to draw regions by."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edgewatch.config.regions import Regions, ignored_share
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.errors import CameraError
from edgewatch.pipeline.pictures import Scaler
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.recordings import recordings
from edgewatch.pipeline.refusals import no_picture
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import Pixels
from edgewatch.pipeline.video import open_video
from edgewatch.tools.findings import Finding, fail, ok, warn

WIDEST_PIXELS = 1280

_OPEN_SECONDS = 8.0
_READ_SECONDS = 5.0
_TENTHS = 10
_GRID = (255, 255, 255)
_REGION = (255, 40, 40)
_SHADOW = (0, 0, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def still_findings(plans: Sequence[CameraPlan], folder: Path) -> list[Finding]:
    """Write `<folder>/<camera>.jpg` for each enabled camera; one finding a camera.

    Takes up to 13 s for a camera that gives no picture.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [_unwritable(folder, error)]
    return [_still_finding(plan, folder / f"{plan.name}.jpg") for plan in plans if plan.enabled]


def _still_finding(plan: CameraPlan, path: Path) -> Finding:
    try:
        picture = drawn_over(take_still(plan), plan.ignore)
    except (CameraError, ValueError) as error:
        return warn("snapshot", plan.name, str(error), "See what is said of the camera above.")
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    try:
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(jpeg.tobytes())
        os.replace(partial, path)
    except OSError as error:
        return _unwritable(path, error)
    share = 100 * ignored_share(plan.ignore)
    return ok("snapshot", plan.name, f"{path}: a line each tenth, {share:.0f} % ignored (red)")


def take_still(plan: CameraPlan) -> Pixels:
    """Return a camera's first picture, upright, with square pixels. Raises CameraError."""
    source = parse_source(plan.url, password=plan.password)
    part = recordings(source)[0] if source.kind == "file" else source
    with open_video(part, Reading.of(plan, _OPEN_SECONDS, _READ_SECONDS)) as video:
        picture = video.first_picture()
        if picture is None:
            raise no_picture(part)
        width, height = picture.displayed_size(video.sample_aspect_ratio)
        scale = min(1.0, WIDEST_PIXELS / width)
        return Scaler().pixels(picture, (round(width * scale), max(1, round(height * scale))))


def drawn_over(pixels: Pixels, regions: Regions) -> Pixels:
    """Return a picture with its ignored regions in red, their corners numbered, and a grid."""
    height, width = pixels.shape[:2]
    picture = pixels.copy()
    for region in regions:
        corners = np.rint(np.array(region) * (width - 1, height - 1)).astype(np.int32)
        filled = cv2.fillPoly(picture.copy(), [corners], _REGION)
        picture = np.asarray(cv2.addWeighted(filled, 0.4, picture, 0.6, 0), np.uint8)
        cv2.polylines(picture, [corners], isClosed=True, color=_REGION, thickness=2)
        for number, (x, y) in enumerate(corners.tolist(), start=1):
            _write(picture, str(number), (min(x + 4, width - 14), max(y - 4, 12)), _REGION)
    grid = picture.copy()
    for tenth in range(1, _TENTHS):
        x, y = width * tenth // _TENTHS, height * tenth // _TENTHS
        cv2.line(grid, (x, 0), (x, height), _GRID, 1)
        cv2.line(grid, (0, y), (width, y), _GRID, 1)
    picture = np.asarray(cv2.addWeighted(grid, 0.5, picture, 0.5, 0), np.uint8)
    for tenth in range(1, _TENTHS):
        share = f"{tenth / _TENTHS:.1f}"
        _write(picture, share, (width * tenth // _TENTHS + 3, 14), _GRID)
        _write(picture, share, (3, height * tenth // _TENTHS - 4), _GRID)
    return picture


def _write(picture: Pixels, text: str, place: tuple[int, int], colour: tuple[int, ...]) -> None:
    for shade, thickness in ((_SHADOW, 3), (colour, 1)):
        cv2.putText(picture, text, place, _FONT, 0.45, shade, thickness, cv2.LINE_AA)


def _unwritable(path: Path, error: OSError) -> Finding:
    detail = f"cannot be written ({error.strerror or error})"
    return fail("snapshot", str(path), detail, "Name another folder, or make room.")
