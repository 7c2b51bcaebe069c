"""Fingerprints of what every kind and twin draws; run as a program it writes them as JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from functools import cache

from edgewatch.pipeline.scenes.incidents.catalogue import KINDS, fits, make_incident, make_twin
from edgewatch.pipeline.scenes.incidents.incident import CameraKind
from tests.pipeline.scenes.incidents.footage import BEGINS, picture, placement

CAMERAS: tuple[CameraKind, ...] = ("fixed", "driving")
_MOMENTS = (BEGINS - 0.1, BEGINS + 0.15, BEGINS + 1.7)
_SIZE = (112, 64)


@cache
def fingerprints(seed: int) -> dict[str, str]:
    """Give a hash of pictures and masks by camera, kind and whether it is the twin."""
    found = {}
    for camera in CAMERAS:
        for kind in KINDS:
            if not fits(kind, camera):
                continue
            for make in (make_incident, make_twin):
                incident = make(kind, seed, placement(camera))
                digest = hashlib.sha256()
                for seconds in _MOMENTS:
                    pixels, truth = incident.compose(picture(seconds, _SIZE), seconds)
                    digest.update(pixels.tobytes())
                    digest.update(b"" if truth.mask is None else truth.mask.tobytes())
                found[f"{camera} {kind} {make.__name__}"] = digest.hexdigest()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(fingerprints(7)))
