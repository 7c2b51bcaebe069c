from __future__ import annotations

import configparser
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edgewatch.config.sections import Service
from edgewatch.config.settings import load_settings
from edgewatch.daemon.service import ABANDON_SECONDS

SYSTEMD = Path(__file__).parents[1] / "systemd"
WORST_EXPOSURE = 2.5
"""As `systemd-analyze security` counts; 10 is a service without any protection."""


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Copy the unit, with an ExecStart that exists here: `verify` looks for the program."""
    text = (SYSTEMD / "edgewatch.service").read_text()
    text = text.replace("ExecStart=/opt/edgewatch/bin/edgewatch", f"ExecStart={sys.executable}")
    copy = tmp_path / "edgewatch.service"
    copy.write_text(text)
    return copy


def _settings_of_unit() -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    parser.read(SYSTEMD / "edgewatch.service")
    return dict(parser["Service"])


def test_systemd_finds_no_fault_in_the_unit(unit: Path) -> None:
    result = subprocess.run(
        [_tool("systemd-analyze"), "verify", "--man=no", unit], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_unit_is_hardened(unit: Path) -> None:
    result = subprocess.run(
        [_tool("systemd-analyze"), "security", "--offline=true", unit],
        capture_output=True,
        text=True,
    )
    if "unrecognized option" in result.stderr:
        pytest.skip("systemd-analyze is older than 250 and judges running services alone")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert found is not None, result.stderr
    assert float(found[1]) <= WORST_EXPOSURE


def test_wrong_settings_do_not_make_systemd_start_again_and_again() -> None:
    service = _settings_of_unit()
    assert service["RestartPreventExitStatus"] == "78"
    assert service["Restart"] == "on-failure"


def test_systemd_waits_longer_than_a_stop_may_take() -> None:
    longest = next(
        rule.le for rule in Service.model_fields["drain_seconds"].metadata if hasattr(rule, "le")
    )
    assert float(_settings_of_unit()["TimeoutStopSec"]) > 2 * longest + ABANDON_SECONDS


def test_the_folders_of_the_unit_are_those_of_the_default_settings() -> None:
    unit, service = _settings_of_unit(), load_settings(None, {}, default_files=[]).service
    assert service.data_dir == Path("/var/lib") / unit["StateDirectory"]
    assert service.control_socket.parent == Path("/run") / unit["RuntimeDirectory"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
def test_the_user_and_the_folder_of_the_unit_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    _make_in(tmp_path, "systemd-sysusers", SYSTEMD / "edgewatch.sysusers.conf")
    _make_in(tmp_path, "systemd-tmpfiles", "--create", SYSTEMD / "edgewatch.tmpfiles.conf")
    name, _, user_id, group_id, *_ = (tmp_path / "etc/passwd").read_text().split(":")
    assert name == _settings_of_unit()["User"]
    assert re.search(rf"^video:.*:{name}$", (tmp_path / "etc/group").read_text(), re.MULTILINE)
    assert int(user_id) > 0
    folder = (tmp_path / "etc/edgewatch").stat()
    assert stat.S_IMODE(folder.st_mode) == 0o750
    assert (folder.st_uid, folder.st_gid) == (0, int(group_id))


def _make_in(root: Path, tool: str, *arguments: str | Path) -> None:
    command = [_tool(tool), f"--root={root}", *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


class TestInstall:
    def run(self, *arguments: str, destdir: Path | None) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.environ["PATH"]} | ({"DESTDIR": str(destdir)} if destdir else {})
        return subprocess.run(
            [SYSTEMD / "install.sh", *arguments], capture_output=True, text=True, env=environ
        )

    def test_files_go_where_systemd_looks_for_them(self, tmp_path: Path) -> None:
        assert self.run("--files-only", destdir=tmp_path).returncode == 0
        assert {
            str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*") if path.is_file()
        } == {
            "etc/systemd/system/edgewatch.service",
            "etc/sysusers.d/edgewatch.conf",
            "etc/tmpfiles.d/edgewatch.conf",
            "etc/edgewatch/edgewatch.toml",
        }

    def test_a_second_run_leaves_the_settings_alone(self, tmp_path: Path) -> None:
        self.run("--files-only", destdir=tmp_path)
        settings = tmp_path / "etc/edgewatch/edgewatch.toml"
        settings.write_text("[web]\nport = 0\n")
        (tmp_path / "etc/systemd/system/edgewatch.service").write_text("old")
        assert self.run("--files-only", destdir=tmp_path).returncode == 0
        assert settings.read_text() == "[web]\nport = 0\n"
        assert "Type=notify" in (tmp_path / "etc/systemd/system/edgewatch.service").read_text()

    def test_a_program_is_not_installed_into_another_root(self, tmp_path: Path) -> None:
        result = self.run(destdir=tmp_path)
        assert result.returncode == 1
        assert "DESTDIR takes --files-only" in result.stderr
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_argument_is_refused(self, tmp_path: Path) -> None:
        result = self.run("--file-only", destdir=tmp_path)
        assert result.returncode == 1
        assert "unknown argument --file-only" in result.stderr
