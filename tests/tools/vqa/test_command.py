"""`edgewatch evaluate --task` as a command: a real tiny model, and what does not go together."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgewatch.tools.evaluate import main
from tests.tools.vqa.made import make_mme

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None,
    reason="torch and transformers are not installed: no model can be asked",
)


@needs_torch
def test_tiny_model_is_asked_and_asked_no_more_than_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    from tests.fakes.tiny_qwen import make_tiny_qwen

    torch.set_num_threads(1)
    model = make_tiny_qwen(tmp_path / "tiny-qwen")
    data = make_mme(tmp_path / "mme", pictures=1)
    command = ["--task", "mme", "--data", str(data), "--engine", f"transformers:{model}"]
    command += ["--report", str(tmp_path / "out"), "--reply-tokens", "3", "--limit", "3"]
    assert main([*command, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    [engine] = first["engines"]
    assert engine["engine"].startswith("transformers:tiny-qwen@")
    assert (first["questions"], first["questions_available"], first["limited"]) == (3, 4, True)
    assert "the model's own is 12845056" in engine["pictures"]
    assert any("accuracy+ leaves out 1 pictures" in note for note in first["notes"])
    assert engine["asked_now"] == 3
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "perception" in told
    assert "Upstream's rule" in told
    again = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert again["engines"][0]["asked_now"] == 0
    assert again["engines"][0]["figures"] == engine["figures"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name a DATASET of recordings, or --task"),
        (["--task", "mme"], "--task mme needs --data DIR"),
        (["rides", "--task", "mme", "--data", "x"], "DATASET goes with recordings"),
        (["--task", "mme", "--data", "x", "--in-turn"], "--in-turn goes with recordings"),
        (["rides", "--limit", "3"], "--limit goes with --task"),
        (["rides", "--reply-tokens", "3"], "--reply-tokens goes with --task"),
        (["--task", "mme", "--data", "/no/where", "--engine", "builtin"], "is no folder"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 78
    assert told in capsys.readouterr().err


def test_builtin_engine_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_mme(tmp_path, pictures=1)
    assert main(["--task", "mme", "--data", str(data), "--engine", "builtin"]) == 78
    assert "the built-in engine cannot reply in words" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--pixels", "big"], ["--task", "gqa"]])
def test_values_out_of_range_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err
