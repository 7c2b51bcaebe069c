"""Facts of this very machine, and the command over them."""

from __future__ import annotations

import json
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

import av
import pytest

from edgewatch.config.settings import load_settings
from edgewatch.tools.installation.gathering import gather, model, tried
from edgewatch.tools.verify_install import main


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    file = tmp_path / "edgewatch.toml"
    file.write_text("")
    return file


def test_facts_of_this_machine_are_its_own(settings_file: Path) -> None:
    facts = gather(load_settings(settings_file))
    assert facts.python == sys.version_info[:3]
    assert facts.system == f"{platform.system()} {platform.machine()}"
    assert facts.version("av") == av.__version__
    assert facts.imports["av"].worked
    assert facts.fact("av", "decoders") == ["h264", "hevc", "mjpeg"]
    assert facts.fact("torch", "sees_gpus") is not None
    assert any(one.package == "aiohttp" for one in facts.wanted)
    assert not any(one.package == "torch" for one in facts.wanted)
    assert facts.memory.total_bytes > facts.memory.free_bytes > 0


def test_a_library_that_is_not_there_is_named() -> None:
    found = tried("no_such_library")
    assert not found.worked
    assert found.error == "ModuleNotFoundError: No module named 'no_such_library'"
    assert not found.hung


def test_a_library_whose_import_hangs_is_given_up() -> None:
    found = tried("json", limit_seconds=0.001)  # no process is up within a millisecond
    assert found.hung
    assert not found.worked


@pytest.mark.parametrize(
    ("config", "quantised", "rope", "algorithm"),
    [
        ({"rope_scaling": {"type": "default"}}, None, "default", ""),
        ({"rope_scaling": {"rope_type": "mrope"}}, {"quant_algo": "NVFP4"}, "mrope", "NVFP4"),
        ({"rope_scaling": None, "quantization_config": {"quant_method": "fp8"}}, None, "", "fp8"),
    ],
)
def test_a_checkpoint_says_what_can_load_it(
    tmp_path: Path,
    config: dict[str, object],
    quantised: dict[str, object] | None,
    rope: str,
    algorithm: str,
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    if quantised:
        text = json.dumps({"quantization": quantised})
        (tmp_path / "hf_quant_config.json").write_text(text)
    found = model(tmp_path)
    assert (found.exists, found.rope_type, found.quantisation) == (True, rope, algorithm)
    assert not model(tmp_path / "none").exists


@pytest.mark.skipif(find_spec("tensorrt_llm") is not None, reason="TensorRT-LLM is here")
def test_the_command_fails_in_one_document_where_tensorrt_is_not(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(settings_file), "--engine", "tensorrt", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    found = {one["name"]: one for one in said["checks"]}
    assert found["python"]["status"] == "ok"
    assert found["TensorRT-LLM"]["status"] == "fail"
    assert "release:1.2.1" in found["TensorRT-LLM"]["cure"]


def test_wrong_settings_are_a_code_of_their_own(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_file.write_text("[engine]\nkind = 'none'\n")
    assert main(["--config", str(settings_file)]) == 78
    assert "[engine] kind" in capsys.readouterr().err
