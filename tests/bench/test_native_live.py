"""The native engine in the whole flow: its checkpoint, its cameras, and (long) a run."""

from __future__ import annotations

import json
import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("torch") is None or find_spec("transformers") is None:
    pytest.skip("torch is missing: pip install -e '.[dev]'", allow_module_level=True)

import torch

from bench import native_live
from bench.native_checkpoint import prompt_of, write_checkpoint
from bench.native_feeder import FedCamera
from bench.native_subjects import shape_of
from edgewatch.config.settings import load_settings
from edgewatch.pipeline.engines.native.network import load_network
from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.types import Clip
from edgewatch.pipeline.watch import Reports, live_feed


@pytest.mark.long
def test_the_written_checkpoint_loads_and_its_prompt_is_as_long_as_a_real_one(
    tmp_path: Path,
) -> None:
    config = dict(shape_of("tiny").config) | {"vocab_size": 1024}
    directory = write_checkpoint(tmp_path / "random", config=config)
    checkpoint = read_checkpoint(directory)
    network = load_network(directory, checkpoint.pixels, torch.device("cpu"))
    assert network.sizes.language.vocabulary == 1024
    scripts = ScriptReader(directory, checkpoint.video_token)
    script = scripts.script(verdict_question(prompt_of(directory), Form()))
    assert len(script.before) + len(script.after) == 252


def test_a_fed_cameras_clips_overlap_by_half_frame_for_frame() -> None:
    settings = load_settings(
        environ={},
        default_files=(),
        overrides={"cameras": [{"name": "front", "url": "rtsp://10.0.0.9/"}]},
    )
    came = threading.Event()
    outlet: Mailbox[Clip] = Mailbox(
        capacity=2, when_full="drop_oldest", on_change=came.set, on_drop=lambda clip: None
    )
    reports = Reports(
        on_health=lambda health: None,
        on_info=lambda info: None,
        on_end=lambda error: None,
        on_unjudged=lambda since, until, why: None,
    )
    pictures = np.zeros((5, 28, 28, 3), np.uint8)
    camera = FedCamera(live_feed(settings.plans()[0]), 7, outlet, reports, pictures)
    assert all(camera.hand_over() for _ in range(30))
    first, second = outlet.take(), outlet.take()
    assert first is not None
    assert second is not None
    assert len(first.frames) == 20
    assert first.frames[10:] == second.frames[:10]
    camera.stop()
    assert not camera.hand_over()


@pytest.mark.long
def test_two_cameras_are_watched_without_a_drop(capsys: pytest.CaptureFixture[str]) -> None:
    assert native_live.main(["--quick", "--json", "--seconds", "5"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["cameras"] == 2
    assert figures["clips"] >= 2
    assert figures["dropped"] == 0
    assert 0 < figures["busy_share"] < 1
    assert figures["latency_p50_ms"] <= figures["latency_p95_ms"]
