"""The command line and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewatch.daemon.__main__ import COMMANDS, main
from edgewatch.tools.scenes import SUBCOMMANDS


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


def test_the_group_of_scenes_names_its_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenes"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in SUBCOMMANDS)
    assert "exit codes" in out
    assert main(["scenes", "mkae"]) == 2
    assert "make" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(SUBCOMMANDS))
def test_every_subcommand_of_scenes_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["scenes", name, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert f"edgewatch scenes {name}" in out
    assert "exit codes" in out


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"scenes"}))
def test_every_command_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert f"edgewatch {command}" in out
    assert "--config" in out or command == "events"
    assert "exit codes" in out


def test_unknown_command_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["rnu"]) == 2
    assert "run" in capsys.readouterr().err


def test_wrong_settings_exit_78_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "edgewatch.toml"
    config.write_text("[mqtt]\nprot = 1883\n")
    assert main(["run", "--config", str(config)]) == 78
    err = capsys.readouterr().err
    assert str(config) in err
    assert "port" in err
    assert "Traceback" not in err


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("edgewatch ")
