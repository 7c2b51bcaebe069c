from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from edgewatch.tools.scene_commands.device_report import ask_device_report
from edgewatch.tools.scene_commands.doctor import main, token_state

GB10 = {
    "torch": {
        "version": "2.13.0",
        "cuda": "13.0",
        "gpus": [
            {
                "name": "NVIDIA GB10",
                "sm": "12.1",
                "free_bytes": 10**9,
                "total_bytes": 128 * 10**9,
                "unified": True,
            }
        ],
    },
    "tensorrt": {"error": "ModuleNotFoundError: No module named 'tensorrt'"},
}
NOTHING = {"torch": {"error": "ImportError: libcudart"}, "tensorrt": {"error": "ImportError: x"}}


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    config, token = tmp_path / "edgewatch.toml", tmp_path / "token"
    token.write_text("hf_averysecrettoken", "utf-8")
    token.chmod(0o600)
    config.write_text(f'[scenes]\ntoken_file = "{token}"\n', "utf-8")
    return ["--config", str(config), "--dir", str(tmp_path / "models")]


def look(
    options: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *more: str,
    report: dict[str, Any] = GB10,
    available_gb: int = 100,
) -> tuple[int, str]:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemAvailable: {available_gb * 10**6} kB\n")
    code = main([*options, *more], ask=lambda: report, meminfo=meminfo)
    out = capsys.readouterr().out
    assert "secret" not in out
    return code, out


def test_the_table_says_what_fits(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a GB10 the host's memory counts, and not what the driver calls free."""
    code, out = look(options, tmp_path, capsys, "--json")
    document = json.loads(out)
    assert code == 0  # the settings' backend draws
    assert document["available_of"] == "host"
    assert document["token"] == "there"
    rows = {(row["model"], row["precision"]): row for row in document["models"]}
    assert rows["flux.1-schnell", "bf16"]["layout"] == "resident"
    assert rows["flux.1-schnell", "bf16"]["steps"] == 4
    _, out = look(options, tmp_path, capsys, "--json", available_gb=40)
    rows = {(row["model"], row["precision"]): row for row in json.loads(out)["models"]}
    assert rows["flux.1-schnell", "bf16"]["layout"] == "staged"
    assert not rows["flux.1-schnell", "fp32"]["runs"]
    assert "what would fit" in rows["flux.1-schnell", "fp32"]["why"]


def test_what_a_backend_lacks_is_said_and_the_chosen_one_decides(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = look(options, tmp_path, capsys, "--backend", "diffusers")
    assert code == 4
    assert "edgewatch scenes fetch flux.1-schnell" in out
    assert "TensorRT is not installed" in out
    assert "NVIDIA GB10, SM 12.1, memory shared with the host" in out
    assert "set [scenes] url" in out


def test_a_machine_without_any_of_it_still_draws(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = look(options, tmp_path, capsys, report=NOTHING)
    assert code == 0
    assert "ready    procedural" in out
    assert "needs a GPU" in out


def test_nothing_heavy_is_imported_here(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {"torch", "diffusers", "tensorrt", "transformers"} & set(sys.modules)
    look(options, tmp_path, capsys)
    assert {"torch", "diffusers", "tensorrt", "transformers"} & set(sys.modules) == before


def test_a_child_that_hangs_is_not_waited_for() -> None:
    assert "said nothing within" in ask_device_report(timeout_seconds=0.01)["error"]


@pytest.mark.parametrize(
    ("mode", "content", "words"),
    [(0o600, "x", "there"), (0o644, "x", "chmod 600"), (0o600, "", "is empty")],
)
def test_a_token_is_told_by_its_presence(
    tmp_path: Path, mode: int, content: str, words: str
) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(mode)
    assert words in token_state(file)
    assert token_state(None) == "not set"
    assert "cannot be read" in token_state(tmp_path / "none")
