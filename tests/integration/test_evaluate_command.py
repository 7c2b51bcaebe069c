"""`edgewatch evaluate` as a command: killed and taken up again, on footage, and its errors."""

from __future__ import annotations

import asyncio
import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest

from edgewatch.tools import evaluate
from tests.fakes.videos import drifting_bar, noisy_scene, write_video
from tests.footage import FOOTAGE, needs_footage
from tests.integration.processes import edgewatch, finished, footage, write_settings

pytestmark = pytest.mark.integration

MEASURED = frozenset(
    {"finished", "wall_seconds", "load_seconds", "judging_seconds", "engine_seconds"}
    | {"decode_ms", "engine_ms", "total_ms", "clips_per_second"}
    | {"peak_memory_bytes", "energy_joules", "energy_source"}
)
"""What two sittings need not have in common: times, and what else was measured of the machine."""
FOOTAGE_SECONDS = 60.0
"""In which the footage is to be evaluated with the built-in engine, on two cores."""


def result(folder: Path) -> dict[str, Any]:
    """Return all that a report's folder says of the engines, without times."""
    return {
        "summary": untimed(json.loads((folder / "summary.json").read_text())),
        **{name: rows(folder / name) for name in ("clips.csv", "recordings.csv")},
    }


def untimed(document: Any) -> Any:
    match document:
        case dict():
            return {key: untimed(one) for key, one in document.items() if key not in MEASURED}
        case list():
            return [untimed(one) for one in document]
    return document


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [
            {key: cell for key, cell in row.items() if "time" not in key}
            for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of its own: names are labels, and two views are one drive."""
    folder = tmp_path_factory.mktemp("recordings")
    footage(folder / "Anom_bursts.mp4", seconds=4)
    (folder / "Anom_drive").mkdir()
    footage(folder / "Anom_drive" / "front.mp4", seconds=3)
    for name, draw in (("Anom_drive/left", noisy_scene), ("Norm_bar", drifting_bar)):
        write_video(
            folder / f"{name}.mp4", width=160, height=120, frames=30, draw=draw, created=None
        )
    return folder


async def test_killed_in_the_middle_and_given_again_it_ends_with_the_identical_result(
    tmp_path: Path, recordings: Path
) -> None:
    settings = write_settings(tmp_path, broker_port=None)
    engines = ("--engine", "four=builtin", "--engine", "single=builtin,max_batch=1,threshold=0.2")
    asked = ("evaluate", recordings, "--config", settings, *engines, "--report")
    arguments = [str(one) for one in (*asked[1:], tmp_path / "whole")]
    assert await asyncio.to_thread(evaluate.main, arguments) == 0

    cut = tmp_path / "cut"
    async with edgewatch(*asked, cut, log_level="info") as program:
        await program.until(lambda: any("recording judged" in one for one in program.err))
        await program.kill()
    journal = cut / evaluate.JOURNAL
    known = journal.read_bytes().count(b"\n") - 1
    assert 1 <= known < 4
    assert not (cut / "report.html").exists()

    ended = await finished(*asked, cut, log_level="info")
    assert ended.code == 0, ended.err
    assert ended.err.count("recording judged") == 4 - known
    assert result(cut) == result(tmp_path / "whole")
    views = [row for row in rows(cut / "recordings.csv") if "Anom_drive" in str(row)]
    assert len(views) >= 2


@pytest.mark.long
def test_tiny_transformers_model_and_built_in_engine_judge_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    from tests.fakes.tiny_qwen import make_tiny_qwen

    model = make_tiny_qwen(tmp_path / "tiny")
    (tmp_path / "in").mkdir()
    for name, draw in (("Anom_1", noisy_scene), ("Norm_1", drifting_bar)):
        write_video(tmp_path / "in" / f"{name}.mp4", draw=draw, created=None)
    settings = write_settings(tmp_path, broker_port=None)
    arguments = [str(tmp_path / "in"), "--config", str(settings), "--engine", "builtin"]
    arguments += ["--engine", f"tiny=transformers:{model}", "--json"]
    assert evaluate.main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    builtin, tiny = document["engines"]
    assert builtin["engine"] == "builtin-1"
    assert tiny["engine"].startswith("transformers:tiny@")
    assert document["recordings"] == 2
    assert len(document["comparisons"]) == 1


@needs_footage
@pytest.mark.long
@pytest.mark.timeout(300)
async def test_footage_with_the_built_in_engine_killed_and_resumed_is_in_time_and_identical(
    tmp_path: Path,
) -> None:
    settings = tmp_path / "edgewatch.toml"
    settings.write_text(f'[service]\ndata_dir = "{tmp_path}"\n')
    asked = ("evaluate", FOOTAGE, "--config", settings, "--engine", "builtin", "--report")
    began_seconds = time.monotonic()
    whole = await finished(*asked, tmp_path / "whole", within_seconds=2 * FOOTAGE_SECONDS)
    assert whole.code == 0, whole.err
    assert time.monotonic() - began_seconds <= FOOTAGE_SECONDS

    for enough in (2, 6):
        async with edgewatch(*asked, tmp_path / "cut", log_level="info") as program:
            await program.until(
                lambda: sum("recording judged" in one for one in program.err) >= enough  # noqa: B023 - awaited here
            )
            await program.kill()
    ended = await finished(*asked, tmp_path / "cut", within_seconds=2 * FOOTAGE_SECONDS)
    assert ended.code == 0, ended.err
    assert result(tmp_path / "cut") == result(tmp_path / "whole")
    assert len(rows(tmp_path / "cut" / "recordings.csv")) == 17


def test_mistakes_are_told_with_their_cure_and_exit_code(
    tmp_path: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, told in (
        ([tmp_path / "nowhere"], "does not exist; name a folder of recordings"),
        ([recordings, "--engine", "gpt"], "--engine gpt: names no engine; write builtin"),
        ([recordings, "--in-turn", "--spool", "/nowhere"], "--spool /nowhere: is no folder"),
        ([recordings, "--labels", tmp_path / "no.csv"], "no.csv: cannot be read"),
        ([recordings, "--camera", "x"], "no camera is named 'x'"),
    ):
        assert evaluate.main([str(one) for one in arguments]) == 78
        error = capsys.readouterr().err
        assert told in error
        assert "Traceback" not in error
