"""`edgewatch drill` without a daemon, the list of drills, and what else tells of them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.pipeline.drill.result import DrillResult, decode_result, encode_result
from edgewatch.pipeline.notify.notices import NTFY, WEBHOOK, Notices
from edgewatch.pipeline.notify.webhook import delivery_id
from edgewatch.pipeline.store import Store
from edgewatch.tools import drill, events
from edgewatch.tools.drill_findings import drill_findings
from tests.daemon.web.core import core, settings_for
from tests.fakes.camera import make_plan
from tests.pipeline.drill.test_parts import DRILLED, RESULT

DAY_SECONDS = 86_400.0


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings of a camera whose last drill failed now, and of one that was drilled long ago."""
    now_seconds = time.time()
    with Store(tmp_path / "data" / "edgewatch.db") as store:
        store.save_drill(replace(RESULT, started_seconds=now_seconds))
        long_ago = now_seconds - 42 * DAY_SECONDS
        passed = replace(RESULT, drill_id="d2", camera="back", outcome="passed", link=None)
        store.save_drill(replace(passed, started_seconds=long_ago))
        store.save_event(DRILLED)
    file = tmp_path / "edgewatch.toml"
    cameras = "".join(
        f'[[cameras]]\nname = "{name}"\nurl = "rtsp://10.0.0.9/{name}"\n'
        for name in ("front", "back", "side")
    )
    file.write_text(
        f'[service]\ndata_dir = "data"\ncontrol_socket = "no.sock"\n[web]\nport = 0\n{cameras}'
    )
    return file


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = drill.main([str(one) for one in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_list_shows_the_drills_and_who_was_not_drilled_for_long(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "--list", "--config", settings)
    assert code == 0
    assert "engine" in out
    assert "back: not drilled for 42 days" in out
    assert "side: never drilled" in out
    code, out, _ = run(capsys, "--list", "--json", "--config", settings)
    told = json.loads(out)
    assert [one["camera"] for one in told["drills"]] == ["front", "back"]
    assert (told["cameras"]["back"]["overdue"], told["cameras"]["back"]["days"]) == (True, 42)
    assert told["cameras"]["front"]["failed"]
    assert told["cameras"]["side"]["days"] is None


def test_without_a_daemon_it_is_refused_with_the_cure(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "--camera", "front", "--json", "--config", settings)
    assert (code, json.loads(out)["outcome"]) == (2, "refused")
    assert "Start it with `edgewatch run`" in err
    assert run(capsys, "--config", settings)[0] == 2
    settings.write_text("[drill]\nat = 'noon'\n")
    code, _, err = run(capsys, "--camera", "front", "--config", settings)
    assert code == 78
    assert '[drill] at: "noon" is no time of day' in err or "is no time of day" in err


def test_check_finds_what_failed_and_what_is_overdue(settings: Path) -> None:
    plans = [make_plan(name) for name in ("front", "back", "side")]
    found = drill_findings(settings.parent / "data", plans, time.time(), 30)
    assert [(one.subject, one.status) for one in found] == [("front", "warn"), ("back", "warn")]
    assert found[0].cure == "free it"
    assert "not drilled for 42 days" in found[1].detail
    assert "edgewatch drill --camera back" in found[1].cure
    assert drill_findings(settings.parent, plans, time.time(), 30) == []


def test_events_of_drills_are_listed_by_themselves(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert events.main(["--json", "--config", str(settings)]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert events.main(["--drills", "--camera", "front", "--json", "--config", str(settings)]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["drill"], told["camera"]) == (True, "front")


def test_a_failed_drill_is_told_on_the_ways_as_what_it_is() -> None:
    notices = Notices(ways=(WEBHOOK, NTFY), public_url="https://box.example.org")
    webhook, push = notices.drill_failed(RESULT)
    told = json.loads(webhook.payload)
    assert (told["type"], told["link"], told["cure"]) == ("drill_failed", "engine", "free it")
    assert "drill" not in told  # it is no drill's message: it is to wake somebody
    assert delivery_id(webhook.payload) == "d1/drill_failed/1"
    told = json.loads(push.payload)
    assert told["title"] == "drill failed on front: engine"
    assert told["click"] == "https://box.example.org/cameras/front"
    assert Notices().drill_failed(RESULT) == ()


def test_a_result_survives_its_way_through_json() -> None:
    back: DrillResult = decode_result(json.loads(json.dumps(encode_result(RESULT))))
    assert back == RESULT


async def test_the_page_and_healthz_tell_of_a_drill_that_failed(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, token=None)
    with Store(settings.service.data_dir / "edgewatch.db") as store:
        store.save_drill(RESULT)
    async with core(settings) as served:
        wall = await (await served.ask("GET", "/")).text()
        camera = await (await served.ask("GET", "/cameras/front")).text()
        health = json.loads(await (await served.ask("GET", "/healthz")).text())
        metrics = await (await served.ask("GET", "/metrics")).text()
    for page in (wall, camera):
        assert "failed: engine" in page
        assert "it is stuck. free it" in page
    assert "1 of 1 cameras failed their last fire drill" in health["reasons"]
    assert 'edgewatch_drill_passed{camera="front"} 0.0' in metrics
    assert 'edgewatch_drill_stage_seconds{camera="front",stage="subscribed"} 0.1' in metrics
