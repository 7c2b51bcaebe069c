"""Commotions: a twin shows the same until it begins, and is nothing to be told of."""

from __future__ import annotations

import numpy as np
import pytest

from edgewatch.pipeline.scenes.drawn.table import draw_scene
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.scene import Scene
from edgewatch.tools.training.commotions import DRIVING, FIXED, Commotion, Happening


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw_scene("yard", 3, (160, 90), 4.0, 12.0)


def _happening(scene: Scene, kind: Commotion, *, twin: bool) -> Happening:
    placement = Placement(3.0, 6.0, (0.5, 0.7), 0.3)
    return Happening(kind, scene, 9, placement, twin=twin)


@pytest.mark.parametrize("kind", [*FIXED, *DRIVING])
def test_a_commotion_and_its_twin_begin_alike_and_part(scene: Scene, kind: Commotion) -> None:
    incident, twin = (_happening(scene, kind, twin=twin) for twin in (False, True))
    before, told = incident.moment(2.75)
    np.testing.assert_array_equal(before, twin.moment(2.75)[0])
    assert not told
    times = np.arange(3.5, 6.0, 1.0).tolist()
    shown = [incident.moment(at) for at in times]
    assert any(tells for _, tells in shown)
    assert not any(twin.moment(at)[1] for at in times)
    parted = [
        not np.array_equal(picture, twin.moment(at)[0])
        for (picture, _), at in zip(shown, times, strict=True)
    ]
    assert any(parted)
    again = _happening(scene, kind, twin=False)
    for (picture, _), at in zip(shown, times, strict=True):
        np.testing.assert_array_equal(picture, again.moment(at)[0])
        assert picture.dtype == np.uint8
        assert picture.shape == (90, 160, 3)
