from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import CameraPlan, Settings, load_settings
from edgewatch.daemon import exits
from edgewatch.daemon.lock import DataLock
from edgewatch.pipeline.errors import CameraUnreachable
from edgewatch.pipeline.source import Source
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import SourceInfo
from edgewatch.tools.box import (
    EARLIEST_SECONDS,
    clock_finding,
    data_findings,
    disk_finding,
    newest_record_seconds,
    socket_finding,
)
from edgewatch.tools.camera_probe import CameraProbes, Look, Seen, look
from edgewatch.tools.daemon_probe import Tenant, daemon_finding, tenant_of
from edgewatch.tools.findings import Finding, document, fail, ok, print_findings, warn
from edgewatch.tools.settings_review import refused, review
from tests.fakes.videos import write_sound, write_video

NOW_SECONDS = EARLIEST_SECONDS + 1_000_000.0
SECRET = "hush-hush"
AS_ROOT = os.geteuid() == 0


def read(folder: Path, text: str) -> Settings:
    file = folder / "edgewatch.toml"
    file.write_text(text)
    return load_settings(file, environ={})


def statuses(findings: Sequence[Finding]) -> list[str]:
    return [one.status for one in findings]


class TestFindings:
    def test_warnings_are_allowed_and_failures_are_not(self) -> None:
        bad = warn("clock", "", "is odd", "Set it.")
        assert document([ok("disk", "/", "wide"), bad])["ok"] is True
        broken = document([bad, fail("disk", "/", "full", "Free space.")])
        assert broken["ok"] is False
        assert broken["schema"] == 1
        assert broken["checks"][1] == {
            "name": "disk",
            "subject": "/",
            "status": "fail",
            "detail": "full",
            "cure": "Free space.",
        }

    def test_the_table_shows_words_as_they_are_with_their_cure_and_a_sum(self) -> None:
        out = io.StringIO()
        findings = [ok("disk", "/[bold]x", "wide"), fail("broker", "b:1", "away", "Start it.")]
        print_findings(findings, Console(file=out, width=100))
        lines = out.getvalue()
        assert "/[bold]x: wide" in lines
        assert "-> Start it." in lines
        assert "1 failed, 0 with a warning, 1 ok" in lines

    def test_a_table_without_trouble_says_so(self) -> None:
        out = io.StringIO()
        print_findings([ok("disk", "/", "wide")], Console(file=out))
        assert "all 1 checks ok" in out.getvalue()


class TestSettings:
    def test_plain_settings_are_ok(self, tmp_path: Path) -> None:
        (found,) = review(read(tmp_path, "[mqtt]\nport = 1884\n"))
        assert (found.status, found.subject) == ("ok", str(tmp_path / "edgewatch.toml"))

    def test_no_file_at_all_is_a_warning(self, tmp_path: Path) -> None:
        settings = load_settings(environ={}, default_files=[tmp_path / "absent.toml"])
        (found,) = review(settings)
        assert (found.status, found.subject) == ("warn", "built-in defaults")
        assert "--config" in found.cure

    def test_each_unwise_setting_is_a_warning_with_its_cure(self, tmp_path: Path) -> None:
        password = tmp_path / "password"
        password.write_text(SECRET)
        password.chmod(0o644)
        _, exposed, fast = review(
            read(
                tmp_path,
                '[mqtt]\nhost = "b"\nusername = "u"\npassword_file = "password"\n'
                '[clips]\nfps = 8.0\n[[cameras]]\nname = "front"\nurl = "front.mp4"\n',
            )
        )
        assert (exposed.status, exposed.cure) == ("warn", f"chmod o= {password}")
        assert (fast.status, fast.cure) == ("warn", "Set fps = 4.0")
        assert "above 4" in fast.detail
        assert SECRET not in f"{exposed}{fast}"

    def test_a_rate_above_the_trained_one_is_told_without_cameras_too(self, tmp_path: Path) -> None:
        _, fast = review(read(tmp_path, "[clips]\nfps = 8.0\n"))
        assert (fast.status, fast.subject, fast.cure) == ("warn", "[clips] fps", "Set fps = 4.0")

    def test_keys_without_effect_are_named_only_if_they_were_changed(self, tmp_path: Path) -> None:
        _, *found = review(
            read(
                tmp_path,
                "[evidence]\npre_seconds = 5.0\npost_seconds = 10.0\nmax_age_days = 3\n"
                "[web]\nport = 0\n[mqtt]\nhomeassistant_discovery = false\n"
                '[engine]\nprompt = "smoke"\n',
            )
        )
        assert [(one.status, one.subject, one.detail) for one in found] == [
            ("ok", "[evidence]", "pre_seconds: set, but not in this version yet"),
            ("ok", "[web]", "port: set, but not in this version yet"),
            ("ok", "[engine]", "prompt: set, but the built-in engine has no use for it"),
        ]

    def test_each_problem_of_wrong_settings_is_a_row(self, tmp_path: Path) -> None:
        file = tmp_path / "edgewatch.toml"
        with pytest.raises(ConfigError) as caught:
            read(tmp_path, '[mqtt]\nprot = 1\n[clips]\nfps = "fast"\n')
        findings = refused(caught.value, file)
        assert statuses(findings) == ["fail", "fail"]
        assert findings[0].subject == f"{file}: [mqtt] prot"
        assert findings[0].cure == 'Did you mean "port"?'

    def test_a_refusal_in_one_sentence_is_a_row(self) -> None:
        (found,) = refused(ConfigError("no camera is named 'x'"), None)
        assert (found.status, found.detail) == ("fail", "no camera is named 'x'")
        assert found.cure


class TestDataFolder:
    def test_a_good_folder_is_ok_and_left_as_it_was(self, tmp_path: Path) -> None:
        assert statuses(list(data_findings(tmp_path))) == ["ok", "ok"]
        assert list(tmp_path.iterdir()) == []

    def test_an_absent_folder_that_can_be_made_is_ok_and_not_made(self, tmp_path: Path) -> None:
        folder, _ = data_findings(tmp_path / "a" / "b")
        assert (folder.status, folder.detail) == ("ok", "does not exist yet; edgewatch makes it")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_below_a_file_fails(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        folder, _ = data_findings(tmp_path / "file" / "data")
        assert folder.status == "fail"
        assert folder.detail == f"{tmp_path / 'file'} is no folder"
        assert folder.cure == "Correct service.data_dir."

    @pytest.mark.skipif(AS_ROOT, reason="root may write anywhere")
    def test_a_folder_that_may_not_be_written_to_fails(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        folder, _ = data_findings(tmp_path)
        assert (folder.status, folder.detail) == (
            "fail", "cannot be written to: Permission denied"
        )  # fmt: skip
        below, _ = data_findings(tmp_path / "data")
        assert below.status == "fail"
        assert "may not make it" in below.detail

    def test_a_folder_that_takes_no_files_fails_for_root_as_well(self) -> None:
        folder, _ = data_findings(Path("/proc"))
        assert folder.status == "fail"
        assert folder.detail.startswith("cannot be written to: ")
        assert folder.cure.startswith("Set service.data_dir")

    @pytest.mark.skipif(not AS_ROOT, reason="only root may give a folder away")
    def test_root_is_told_that_the_services_user_may_less(self, tmp_path: Path) -> None:
        os.chown(tmp_path, 54321, -1)
        folder, _ = data_findings(tmp_path)
        assert folder.status == "warn"
        assert folder.detail == "belongs to #54321, and this check runs as root, who may do more"
        assert folder.cure.endswith("sudo -u '#54321' edgewatch check")

    @pytest.mark.parametrize(
        ("free_bytes", "status"), [(10**6, "fail"), (10**8, "warn"), (10**10, "ok")]
    )
    def test_the_disk_needs_room(self, free_bytes: int, status: str) -> None:
        found = disk_finding(Path("/data"), free_bytes)
        assert found.status == status
        assert bool(found.cure) == (status != "ok")

    def test_records_are_opened(self, tmp_path: Path) -> None:
        Store(tmp_path / "edgewatch.db").close()
        *_, records = data_findings(tmp_path)
        assert (records.name, records.status) == ("records", "ok")
        assert records.detail.endswith("0 cameras, 0 events open")

    def test_damaged_records_fail_with_the_way_to_save_them(self, tmp_path: Path) -> None:
        (tmp_path / "edgewatch.db").write_text("not a database " * 100)
        *_, records = data_findings(tmp_path)
        assert (records.name, records.status) == ("records", "fail")
        assert records.detail == "it is damaged, or no database at all"
        assert records.cure.startswith("stop edgewatch, move the file")


class TestClock:
    def test_a_clock_that_was_never_set_is_a_warning(self) -> None:
        found = clock_finding(86_400.0, None)
        assert (found.status, found.detail) == (
            "warn", "was never set: events would carry a wrong time"
        )  # fmt: skip
        assert "timedatectl" in found.cure

    def test_a_clock_behind_the_newest_record_is_a_warning(self) -> None:
        found = clock_finding(NOW_SECONDS, NOW_SECONDS + 3600.0)
        assert found.status == "warn"
        assert "3600 s behind the newest record" in found.detail

    def test_a_clock_at_or_after_the_newest_record_is_ok(self) -> None:
        assert clock_finding(NOW_SECONDS, None).status == "ok"
        assert clock_finding(NOW_SECONDS, NOW_SECONDS - 5.0).status == "ok"
        assert clock_finding(NOW_SECONDS, NOW_SECONDS + 1.0).status == "ok"

    def test_the_newest_record_is_that_of_the_write_ahead_log(self, tmp_path: Path) -> None:
        assert newest_record_seconds(tmp_path) is None
        for name, seconds in (("edgewatch.db", 1000), ("edgewatch.db-wal", 2000)):
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (seconds, seconds))
        assert newest_record_seconds(tmp_path) == 2000.0


class TestControlSocket:
    def test_a_place_that_can_be_written_to_is_ok(self) -> None:
        assert socket_finding(Path("/tmp/edgewatch-absent/control.sock")).status == "ok"

    def test_a_place_below_a_file_is_a_warning(self, tmp_path: Path) -> None:
        (tmp_path / "f").touch()
        found = socket_finding(tmp_path / "f" / "c.sock")
        assert found.status == "warn"
        assert found.detail.startswith(f"cannot be made: {tmp_path / 'f'}")

    def test_a_path_too_long_for_a_socket_is_a_warning(self) -> None:
        found = socket_finding(Path("/tmp") / ("x" * 120))
        assert (found.status, found.detail) == ("warn", "longer than 107 bytes")


class TestDaemon:
    def test_nobody_runs_where_no_lock_is_held(self, tmp_path: Path) -> None:
        assert tenant_of(tmp_path) == Tenant("none")
        with DataLock(tmp_path):
            pass
        assert tenant_of(tmp_path) == Tenant("none")

    async def test_who_holds_the_lock_is_told_and_not_disturbed(self, tmp_path: Path) -> None:
        with DataLock(tmp_path):
            tenant = tenant_of(tmp_path)
            assert tenant == Tenant("daemon", str(os.getpid()))
            assert tenant_of(tmp_path).is_daemon
        found = await daemon_finding(tenant, tmp_path / "c.sock")
        assert (found.status, found.subject) == ("warn", f"process {os.getpid()}")
        assert f"{tmp_path / 'c.sock'} does not answer" in found.detail

    async def test_a_folder_that_may_not_be_looked_into_is_a_warning(self, tmp_path: Path) -> None:
        found = await daemon_finding(Tenant("hidden"), tmp_path / "c.sock")
        assert found.status == "warn"
        assert "sudo -u edgewatch" in found.cure

    @pytest.mark.parametrize(
        ("changed", "status", "told"),
        [
            ({}, "ok", "has been running for 1:01:01; 7 clips judged by builtin-1"),
            (
                {"engine": {"state": "down", "detail": "out of memory"}},
                "warn",
                "its engine is down: out of memory",
            ),
            ({"store": {"trouble": "the disk is full"}}, "warn", "the disk is full"),
        ],
    )
    async def test_what_a_daemon_says_of_itself_is_told(
        self, tmp_path: Path, changed: Mapping[str, Any], status: str, told: str
    ) -> None:
        figures = {
            "uptime_seconds": 3661.2,
            "clips_judged": 7,
            "engine": {"name": "builtin-1", "state": "ready", "detail": ""},
            "store": {"trouble": None},
            **changed,
        }

        async def answer(request: web.Request) -> web.Response:
            return web.json_response(figures)

        application = web.Application()
        application.router.add_get("/status", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        try:
            await web.UnixSite(runner, str(tmp_path / "c.sock")).start()
            found = await daemon_finding(Tenant("daemon", "7"), tmp_path / "c.sock")
        finally:
            await runner.cleanup()
        assert found.status == status
        assert told in found.detail


def a_plan(url: str | Path, *, password: str | None = None, **changed: Any) -> CameraPlan:
    plan = replace(Settings().plan_for(None), name="front", url=str(url), password=password)
    return replace(plan, **changed)


def found_of(
    plan: CameraPlan, look: Look = look, *, daemon_runs: bool = False, limit_seconds: float = 15.0
) -> Finding:
    probes = CameraProbes([plan], look, limit_seconds)
    (found,) = probes.findings(daemon_runs=daemon_runs)
    assert (found.name, found.subject) == ("camera", "front")
    assert bool(found.cure) == (found.status != "ok")
    return found


class TestCameras:
    def test_a_recording_is_described_with_what_is_made_of_it(self, tmp_path: Path) -> None:
        file = write_video(tmp_path / "a.mp4", width=320, height=240, fps=10)
        found = found_of(a_plan(file, threshold=0.7))
        assert found.status == "ok"
        assert found.detail.startswith(f"{file}: h264 320x240, 10 fps, first picture after 0.")
        assert found.detail.endswith(
            "; judged as 280x224 at 4 fps, 5 s every 2.5 s, threshold 0.7"
        )  # fmt: skip

    def test_of_a_folder_the_first_recording_is_opened(self, tmp_path: Path) -> None:
        write_video(tmp_path / "2.mp4")
        write_video(tmp_path / "10.mp4")
        assert "first of 2 recordings" in found_of(a_plan(tmp_path)).detail

    def test_bad_files_fail_each_with_its_reason_and_cure(self, tmp_path: Path) -> None:
        text = tmp_path / "text.mp4"
        text.write_text("not a video\n" * 100)
        empty = tmp_path / "empty.mp4"
        empty.touch()
        bare = tmp_path / "bare"
        bare.mkdir()
        for path, told, cure in (
            (tmp_path / "absent.mp4", "does not exist", "Correct url; a relative path"),
            (text, "is no video", "Play the file elsewhere"),
            (empty, "is empty", "Play the file elsewhere"),
            (bare, "holds no video files", "Correct url"),
            (write_sound(tmp_path / "sound.mp4"), "has no video stream", "Choose another stream"),
        ):
            found = found_of(a_plan(path))
            assert found.status == "fail"
            assert told in found.detail
            assert found.cure.startswith(cure)

    def test_a_host_that_refuses_fails_without_its_secrets(self) -> None:
        found = found_of(a_plan("rtsp://boss@127.0.0.1:9/live?token=tok3n", password=SECRET))
        assert found.status == "fail"
        assert found.detail == (
            "rtsp://127.0.0.1:9/live?*** cannot be reached (Connection refused)."
        )
        assert found.cure.startswith("Check power, cable, host and port")

    def test_a_camera_that_is_switched_off_is_listed_and_not_opened(self) -> None:
        def never(source: Source, plan: CameraPlan) -> Seen:
            raise AssertionError("opened")

        found = found_of(a_plan("/absent.mp4", enabled=False), never)
        assert (found.status, found.detail) == ("ok", "switched off (enabled = false)")

    def test_an_address_that_makes_no_sense_fails(self) -> None:
        found = found_of(a_plan("/dev/video0", password=SECRET))
        assert found.status == "fail"
        assert "takes no password" in found.detail
        assert SECRET not in str(found)

    def test_one_that_hangs_does_not_hold_up_the_others(self, tmp_path: Path) -> None:
        good = write_video(tmp_path / "a.mp4")
        released = threading.Event()

        def hang(source: Source, plan: CameraPlan) -> Seen:
            released.wait()
            return look(source, plan)

        found = found_of(a_plan(good), hang, limit_seconds=0.05)
        released.set()
        assert found.status == "fail"
        assert found.detail == f"{good} gave no picture within 0.05 s"

    def test_a_fault_of_ours_is_told_without_its_text(self) -> None:
        def broken(source: Source, plan: CameraPlan) -> Seen:
            raise RuntimeError(f"cannot open {source.location}")

        found = found_of(a_plan("rtsp://boss@cam/live", password=SECRET), broken)
        assert (found.status, found.detail) == (
            "fail", "rtsp://cam/live broke the probe (RuntimeError)."
        )  # fmt: skip

    def test_a_late_key_frame_is_a_warning(self) -> None:
        info = SourceInfo("h264", 640, 360, 25.0)
        url = "rtsp://cam/live"
        assert found_of(a_plan(url), lambda source, plan: Seen(info, 1.0)).status == "ok"
        late = found_of(a_plan(url), lambda source, plan: Seen(info, 9.0))
        assert late.status == "warn"
        assert "key frame" in late.cure

    def test_a_source_slower_than_it_is_looked_at_is_a_warning(self, tmp_path: Path) -> None:
        found = found_of(a_plan(write_video(tmp_path / "a.mp4", fps=2, frames=10)))
        assert found.status == "warn"
        assert found.cure.endswith("or fps = 2 here.")

    def test_a_device_that_the_daemon_may_hold_is_a_warning(self) -> None:
        def busy(source: Source, plan: CameraPlan) -> Seen:
            raise CameraUnreachable("unreachable", f"{source.display} cannot be reached (busy).")

        plan = a_plan("/dev/video0")
        assert found_of(plan, busy, daemon_runs=False).status == "fail"
        found = found_of(plan, busy, daemon_runs=True)
        assert found.status == "warn"
        assert "the daemon is running" in found.cure


class TestTroubleshooting:
    """docs/troubleshooting.md knows what the product says."""

    ROOT = Path(__file__).parents[2]
    TEXT = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")

    def test_each_reason_of_a_camera_is_explained(self) -> None:
        given = re.compile(r'Camera(?:Error|Rejected|Unreachable)\(\s*"([a-z_]+)"')
        reasons = {
            reason
            for file in (self.ROOT / "pipeline").glob("*.py")
            for reason in given.findall(file.read_text("utf-8"))
        }
        assert len(reasons) > 8
        reasons |= {"starting", "disabled", "scheduled_off"}
        assert [one for one in sorted(reasons) if f"\n| `{one}` |" not in self.TEXT] == []

    def test_each_exit_code_is_explained(self) -> None:
        codes = [code for name, code in vars(exits).items() if name.startswith("EX_")]
        assert len(codes) >= 5
        assert [code for code in codes if f"\n| {code} |" not in self.TEXT] == []
