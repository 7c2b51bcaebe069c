from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import CameraName, Interval
from edgewatch.tools.account import Account, in_seconds, percentage, read_account
from edgewatch.tools.coverage import main
from edgewatch.tools.coverage_view import print_view
from tests.mqtt_schemas import validate

FRONT, GATE = CameraName("front"), CameraName("gate")
HOUR_MS = 3_600_000
SETTINGS = """
[service]
data_dir = "data"
[[cameras]]
name = "front"
url = "rtsp://127.0.0.1/front"
[[cameras]]
name = "yard"
url = "rtsp://127.0.0.1/yard"
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Write settings whose records lie in this test's folder."""
    file = tmp_path / "edgewatch.toml"
    file.write_text(SETTINGS)
    return f"--config={file}"


@pytest.fixture
def now_ms() -> int:
    return round(time.time() * 1000)


@pytest.fixture
def store(tmp_path: Path, now_ms: int) -> Iterator[Store]:
    """Records as a daemon leaves them that still runs; the front camera's last 10 s are open."""
    with Store(tmp_path / "data" / "edgewatch.db") as store:
        store.save_coverage(
            [
                Interval(FRONT, now_ms - 4 * HOUR_MS, now_ms - 3 * HOUR_MS, "judged"),
                Interval(FRONT, now_ms - 2 * HOUR_MS, now_ms - HOUR_MS - 1, "offline"),
                Interval(FRONT, now_ms - HOUR_MS - 1, now_ms - 10_000, "judged"),
                Interval(GATE, now_ms - 40 * HOUR_MS, now_ms - 30 * HOUR_MS, "disabled"),
            ]
        )
        yield store


def cameras(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    return {one["camera"]: one for one in document["cameras"]}


def milliseconds(camera: dict[str, Any]) -> dict[str, int]:
    sums = {"judged": camera["judged"], **camera["not_judged"]}
    return {reason: round(seconds * 1000) for reason, seconds in sums.items() if seconds}


@pytest.mark.usefixtures("store")
class TestJson:
    def test_a_camera_is_told_as_on_mqtt_and_adds_up_to_the_millisecond(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--json"]) == 0
        front = cameras(capsys)["front"]
        validate("coverage", front)
        sums = milliseconds(front)
        assert sum(sums.values()) == round(front["window_seconds"] * 1000)
        assert sums["offline"] == HOUR_MS - 1
        assert sums["judged"] == 2 * HOUR_MS - 10_000 + 1
        assert set(sums) == {"judged", "offline", "not_running"}
        assert front["window_seconds"] + front["not_settled_yet"] == pytest.approx(86_400)
        assert front["not_settled_yet"] == pytest.approx(10, abs=5)

    def test_gaps_are_named_longest_first(
        self, config: str, capsys: pytest.CaptureFixture[str], now_ms: int
    ) -> None:
        assert main([config, "--json", "--since", "-10h", "--camera", "front"]) == 0
        (front,) = cameras(capsys).values()
        gaps = [(gap["reason"], round(gap["seconds"])) for gap in front["longest_gaps"]]
        assert gaps == [("not_running", 21_600), ("not_running", 3_600), ("offline", 3_600)]
        assert front["longest_gaps"][0]["start"] == front["start"]

    def test_a_window_in_the_past_is_settled_whole(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--json", "--since=-210m", "--until=-90m", "--camera=front"]) == 0
        (front,) = cameras(capsys).values()
        assert front["window_seconds"] == 7_200
        assert front["not_settled_yet"] == 0
        assert [round(ms / 60_000) for ms in milliseconds(front).values()] == [30, 30, 60]

    def test_time_that_may_still_be_settled_is_no_hole(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--json", "--since=-5s"]) == 0
        for camera in cameras(capsys).values():
            assert camera["window_seconds"] == 0
            assert camera["not_settled_yet"] == 5
            assert milliseconds(camera) == {}

    def test_configured_cameras_and_those_of_that_time_are_told(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main([config, "--json"])
        told = cameras(capsys)
        assert list(told) == ["front", "yard"]
        assert set(milliseconds(told["yard"])) == {"not_running"}
        main([config, "--json", "--since=-2d"])
        assert list(cameras(capsys)) == ["front", "yard", "gate"]
        main([config, "--json", "--camera=gate"])
        assert list(cameras(capsys)) == ["gate"]


@pytest.mark.usefixtures("store")
class TestText:
    def test_a_pipe_gets_lines_of_columns(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--since=-90m", "--until=-30m", "--camera=front"]) == 0
        header, *rows = (line.split("\t") for line in capsys.readouterr().out.splitlines())
        assert header == ["camera", "coverage", "seconds", "percent"]
        assert [row[:2] for row in rows] == [["front", "judged"], ["front", "offline"]]
        assert sum(round(float(row[2]) * 1000) for row in rows) == HOUR_MS
        assert sum(float(row[3]) for row in rows) == pytest.approx(100)

    def test_what_is_not_settled_yet_is_said(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main([config, "--camera=front"])
        assert re.search(
            r"^front: the newest 1\d\.\d s are not settled yet$",
            capsys.readouterr().err,
            re.MULTILINE,
        )

    def test_a_reader_that_has_enough_is_no_fault(self, config: str) -> None:
        command = [sys.executable, "-m", "edgewatch.daemon", "coverage", config]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert b"Traceback" not in process.stderr.read()
            assert process.wait() == 0


class TestView:
    @pytest.fixture
    def account(self, store: Store, now_ms: int) -> Account:
        since_ms = now_ms - 4 * HOUR_MS
        return read_account(store, FRONT, since_ms, now_ms, now_ms, 5_000)

    def view(self, account: Account, *, color_system: Any, width: int = 80) -> list[str]:
        out = io.StringIO()
        # A terminal that takes any letter: StringIO has no encoding of its own
        console = Console(
            file=out, width=width, color_system=color_system, force_terminal=True, highlight=False
        )
        print_view([account], console)
        return out.getvalue().splitlines()

    def test_without_colours_states_are_letters_as_wide_as_the_terminal(
        self, account: Account
    ) -> None:
        lines = self.view(account, color_system=None)
        strip = lines[2] if "settled" in lines[1] else lines[1]
        assert re.fullmatch(r"=+n?N+o?O+o?=+", strip), strip
        assert len(strip) == 80
        assert any(line.lstrip().startswith("|") for line in lines)
        assert any(re.search(r"O +offline +3599\.999 +\d\d\.\d\d", line) for line in lines)
        assert any(re.search(r"3600\.000 s  not_running$", line) for line in lines)
        assert any("small letters" in line for line in lines)
        assert any("N not_running" in line for line in lines)

    def test_with_colours_states_are_blocks(self, account: Account) -> None:
        text = "\n".join(self.view(account, color_system="standard", width=40))
        plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
        assert re.search(r"^[█▄]{40}$", plain, re.MULTILINE)
        assert "\x1b[32m█" in text
        assert "\x1b[31m█" in text

    def test_a_moment_in_a_long_time_is_not_hidden(self, store: Store, now_ms: int) -> None:
        start_ms = now_ms - 24 * HOUR_MS
        store.save_coverage(
            [
                Interval(GATE, start_ms, now_ms - 10 * HOUR_MS, "judged"),
                Interval(GATE, now_ms - 10 * HOUR_MS, now_ms - 10 * HOUR_MS + 1, "corrupt"),
                Interval(GATE, now_ms - 10 * HOUR_MS + 1, now_ms, "judged"),
            ]
        )
        account = read_account(store, GATE, start_ms, now_ms, now_ms, 5_000)
        lines = self.view(account, color_system=None)
        assert re.fullmatch(r"=+x=+", lines[1])
        assert "99.99 % judged" in lines[0]


class TestBadInput:
    def test_an_unknown_camera_ends_with_1_and_names_the_nearest(
        self, config: str, store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--json", "--camera", "frnt"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err == 'edgewatch coverage: there is no camera "frnt". Did you mean "front"?\n'
        assert main([config, "--camera", "x"]) == 1
        assert "Known here: front, gate, yard." in capsys.readouterr().err

    def test_without_records_the_person_is_told_what_makes_them(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--json"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out) == {"schema": 1, "cameras": []}
        assert "`edgewatch run`" in err
        assert main([config, "--camera", "frnt"]) == 1
        assert 'Did you mean "front"?' in capsys.readouterr().err

    @pytest.mark.usefixtures("store")
    def test_time_beyond_what_is_kept_is_told(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([config, "--since=-15d"]) == 0
        assert "records older than 14 days are deleted" in capsys.readouterr().err

    @pytest.mark.usefixtures("store")
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--since=soon"], "is no time"),
            (["--since=-1h", "--until=-2h"], "--since is not before --until"),
            (["--since=2199-01-01", "--until=2199-01-02"], "--since lies in the future"),
        ],
    )
    def test_times_that_make_no_window_are_told(
        self, config: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main([config, *arguments])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err

    def test_wrong_settings_end_with_78(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([f"--config={tmp_path / 'absent.toml'}"]) == 78
        assert "does not exist" in capsys.readouterr().err

    def test_a_file_that_is_no_database_ends_with_1(
        self, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "edgewatch.db").write_text("not a database " * 100)
        assert main([config]) == 1
        assert "edgewatch.db" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("part_ms", "whole_ms", "share"),
    [
        (0, 0, "0.00"),
        (0, 5, "0.00"),
        (5, 5, "100.00"),
        (1, 3, "33.33"),
        (1, 10**9, "0.01"),
        (10**9 - 1, 10**9, "99.99"),
    ],
)
def test_a_share_is_neither_none_nor_all_unless_it_is(
    part_ms: int, whole_ms: int, share: str
) -> None:
    assert percentage(part_ms, whole_ms) == share


def test_seconds_are_exact() -> None:
    assert [in_seconds(ms) for ms in (0, 7, 61_050)] == ["0.000", "0.007", "61.050"]
