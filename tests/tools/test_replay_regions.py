"""Real footage replayed with regions ignored: what happens in them raises no event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgewatch.tools.replay import main
from tests.footage import FOOTAGE, needs_footage

SAMPLES = Path(__file__).parents[2] / "samples"
FIRE = [[[0.25, 0.3], [0.95, 0.3], [0.95, 1.0], [0.25, 1.0]]]
"""Around the flash fire of the incident, and more than half of the walkway."""
REST = [
    [[0.0, 0.0], [1.0, 0.0], [1.0, 0.3], [0.0, 0.3]],
    [[0.0, 0.3], [0.2, 0.3], [0.2, 1.0], [0.0, 1.0]],
]
BONNET = [[[0.0, 0.8], [1.0, 0.8], [1.0, 1.0], [0.0, 1.0]]]


def replayed(
    capsys: pytest.CaptureFixture[str], folder: Path, ignore: object, *paths: Path | str
) -> dict[str, Any]:
    config = folder / "edgewatch.toml"
    config.write_text(
        f'[[cameras]]\nname = "front"\nurl = "/dev/video9"\nignore = {json.dumps(ignore)}\n'
    )
    code = main([*map(str, paths), "--config", str(config), "--camera", "front", "--json"])
    assert code == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


@pytest.mark.parametrize(("ignore", "events"), [([], 1), (FIRE, 0), (REST, 1)])
def test_a_fire_opens_an_event_unless_it_burns_in_a_region(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ignore: object, events: int
) -> None:
    shown = replayed(capsys, tmp_path, ignore, SAMPLES / "walkway_incident.mp4")
    assert shown["events"] == events
    peak = shown["results"][0]["peak_score"]
    assert (peak >= 0.5) == bool(events)


@pytest.mark.parametrize("ignore", [FIRE, REST])
def test_people_who_walk_behind_a_region_and_out_of_it_raise_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ignore: object
) -> None:
    shown = replayed(capsys, tmp_path, ignore, SAMPLES / "walkway.mp4")
    assert shown["results"][0]["peak_score"] < 0.3


@needs_footage
@pytest.mark.timeout(120)
def test_a_region_over_the_bonnet_makes_no_ordinary_drive_an_incident(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drives = sorted(FOOTAGE.glob("drive_normal_*.mp4"))
    assert len(drives) == 3
    shown = replayed(capsys, tmp_path, BONNET, *drives)
    assert max(one["peak_score"] for one in shown["results"]) < 0.35
