"""The native engine's measurement: it agrees with transformers, and each of its parts runs."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from itertools import pairwise

import pytest

if find_spec("torch") is None or find_spec("transformers") is None:
    pytest.skip("torch is missing: pip install -e '.[dev]'", allow_module_level=True)

import torch

from bench import native
from bench.native_accuracy import accuracy_clips
from bench.native_peer import library_of
from bench.native_run import VARIANTS, Bench, Options
from bench.native_speed import measure
from bench.native_subjects import Cameras, FixedScripts, shape_of
from bench.native_work import clip_flop

RELATIVE = 1e-5


@pytest.fixture(scope="module")
def bench() -> Bench:
    torch.set_num_threads(1)
    options = Options(shape="tiny", precisions=("bf16",), batches=(1,), seconds=0.01)
    return Bench(options, lambda text: None)


@pytest.mark.timeout(60)
def test_quick_figures_say_that_logits_are_those_of_transformers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert native.main(["--quick", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["logits_max_relative_difference_transformers"] < RELATIVE
    assert figures["incremental_max_relative_difference"] < RELATIVE
    assert figures["transformers_ms"] > 0
    assert {name for name in figures if name.endswith("ratio_transformers")} == {
        "plain_ratio_transformers",
        "incremental_ratio_transformers",
    }


def test_transformers_gets_the_very_weights_and_text_that_are_measured(bench: Bench) -> None:
    library = library_of(bench.shape, bench.device, torch.float32, FixedScripts(bench.shape))
    clips = accuracy_clips(bench)[-1:]
    ours = bench.scorer(bench.weights("bf16").network()).logits(clips)
    theirs = library.logits(clips)
    assert (ours - theirs).norm() / theirs.norm() < RELATIVE


@pytest.mark.long
def test_every_variant_is_timed_and_held_against_the_work_it_does(bench: Bench) -> None:
    network = bench.weights("bf16").network()
    bench.figures["product_bf16_tflops"] = 1.0
    for variant in VARIANTS:
        measure(bench, network, "bf16", 1, variant, 0.01)
        name = f"bf16_batch_1_{variant.name}"
        assert bench.figures[f"{name}_ms"] > 0
        assert bench.figures[f"{name}_product_share"] == pytest.approx(
            bench.flop(variant) / 1e9 / bench.figures[f"{name}_ms"]
        )


def test_half_of_each_cameras_clip_was_in_the_one_before() -> None:
    cameras = Cameras(2, frames=8, side=28)
    clips = [cameras.next() for _ in range(5)]
    for before, after in pairwise(clips):
        for one, other in zip(before, after, strict=True):
            assert one.camera == other.camera
            assert one.times[4:] == other.times[:4]
            assert (one.frames[4:] == other.frames[:4]).all()
    assert clips[0][0].camera != clips[0][1].camera


def test_work_of_a_clip_is_what_was_counted_before() -> None:
    sizes = shape_of("7b").sizes

    def tflop(seen_pairs: int, known: int) -> float:
        return (
            clip_flop(
                sizes, pairs=10, seen_pairs=seen_pairs, rows=9, columns=9, known=known, text=252
            )
            / 1e12
        )

    assert tflop(10, 30) == pytest.approx(17.4, abs=0.05)
    assert tflop(5, 0) < tflop(10, 0)
    assert tflop(10, 0) - tflop(5, 0) == pytest.approx(tflop(10, 230) - tflop(5, 230))


def test_a_part_that_fails_is_told_and_the_others_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    late = Options(shape="tiny", precisions=("bf16", "nonsense"), until=time.monotonic())
    figures, failed = native.run(Bench(late, native.say), ["idle", "memory"])
    assert failed
    assert figures == {}
    said = capsys.readouterr().err
    assert "left out for want of time: idle bf16 plain" in said
    assert "idle FAILED" in said
    assert "-- memory" in said
