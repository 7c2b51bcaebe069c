"""The engine's measurement: every figure it promises, and scores that agree with the library's."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("torch") is None or find_spec("transformers") is None:
    pytest.skip("torch is missing: pip install -e '.[dev]'", allow_module_level=True)

import torch

from bench import engine
from bench.engine_peers import official_processor, video_arithmetic
from bench.engine_subjects import CONFIG_7B, TEXT_AFTER, TEXT_BEFORE, FixedScripts
from edgewatch.pipeline.engines.question import Form, verdict_question
from tests.fakes.tiny_qwen import PIXEL_RULES

ONCE = engine.Plan(rounds=1, warm_ups=0)


@pytest.mark.timeout(120)
def test_every_figure_is_a_number_and_scores_agree(capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    figures = engine.measure(None, "tiny", [1], ONCE)
    assert json.loads(json.dumps(figures)) == figures
    assert figures["score_max_abs_difference_official"] <= 1e-3
    assert figures["preprocess_speedup_official"] > 1
    stages = ("copy", "preprocess", "vision", "language", "score", "total", "forward_official")
    assert {f"batch_1_{stage}_ms" for stage in stages} <= figures.keys()
    assert all(value > 0 or "difference" in name for name, value in figures.items())
    engine.print_table(figures)
    said = capsys.readouterr()
    assert "torch" in said.err
    assert "batch_1_ratio_forward_official" in said.out


def test_arithmetic_of_the_video_processor_is_restated_rightly() -> None:
    clip = engine.random_clip(1, 4, 56, 84).frames
    _, official = official_processor(PIXEL_RULES)
    assert (video_arithmetic(clip, PIXEL_RULES) - official(clip)).abs().max().item() <= 1e-5


def test_prompt_of_the_7b_shape_has_the_real_length() -> None:
    script = FixedScripts().script(verdict_question("x", Form()))
    assert (len(script.before), len(script.after)) == (TEXT_BEFORE, TEXT_AFTER)
    pairs, side = engine.FRAMES // 2, engine.SIDE // 28
    assert TEXT_BEFORE + TEXT_AFTER + pairs * side**2 == 1062
    special = {value for name, value in CONFIG_7B.items() if name.endswith("token_id")}
    assert not special & set(script.before + script.after)


def test_clips_differ_by_their_seed() -> None:
    one, other = (engine.random_clip(seed).frames for seed in (0, 1))
    assert one.shape == (20, 252, 252, 3)
    assert not np.array_equal(one, other)
