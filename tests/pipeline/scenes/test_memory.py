from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.memory import (
    GIB,
    HOST_RESERVE_BYTES,
    LAYOUTS,
    DeviceMemory,
    admit,
    choose_plan,
    fits,
    needed_bytes,
    plan_memory,
    plans,
    read_available_bytes,
    reserve_of,
)
from edgewatch.pipeline.scenes.models.catalogue import MODELS, model_named

SIZE = (1024, 1024)
FLUX, SDXL = model_named("flux.1-schnell"), model_named("sdxl")


@pytest.mark.parametrize(
    ("model", "precision", "layout", "tiled", "measured_gb"),
    [
        # `bench.scene_images`, an H200, 1024x1024, networks of the real size: torch's own peak.
        ("flux.1-schnell", "bf16", "resident", False, 36.57),
        ("flux.1-schnell", "bf16", "staged", False, 26.54),
        ("flux.1-schnell", "bf16", "one_at_a_time", True, 24.45),
        ("flux.1-schnell", "fp8", "staged", True, 15.99),
        ("sdxl", "fp16", "resident", False, 12.26),
        ("sdxl", "fp16", "staged", True, 6.79),
        ("sdxl", "fp8", "one_at_a_time", True, 3.28),
    ],
)
def test_plans_are_near_measured_peaks(
    model: str, precision: str, layout: str, tiled: bool, measured_gb: float
) -> None:
    plan = plan_memory(
        model_named(model),
        precision,  # type: ignore[arg-type]
        SIZE,
        layout=layout,  # type: ignore[arg-type]
        tiled=tiled,
    )
    assert plan.tensor_bytes / 1e9 == pytest.approx(measured_gb, rel=0.03)


def test_fp8_by_casting_keeps_norms_and_modulation() -> None:
    """8,643,514,368 of the transformer's parameters take a byte, 3,247,664,192 take two."""
    bf16 = plan_memory(FLUX, "bf16", SIZE, layout="staged").phases[1].weights_bytes
    fp8 = plan_memory(FLUX, "fp8", SIZE, layout="staged").phases[1].weights_bytes
    assert bf16 - fp8 == 8_643_514_368


def test_sdxl_decodes_in_32_bits_whatever_is_wanted() -> None:
    phases = {p: plan_memory(SDXL, p, SIZE).phases[2] for p in ("fp16", "fp32")}
    assert phases["fp16"].activation_bytes == phases["fp32"].activation_bytes


@pytest.mark.parametrize("model", MODELS)
def test_each_way_is_no_larger_than_the_one_before(model: str) -> None:
    for precision in model_named(model).precisions:
        peaks = [plan.peak_bytes for plan in plans(model_named(model), precision, SIZE)]
        assert peaks == sorted(peaks, reverse=True)
        assert peaks[-1] < peaks[0]


@given(side=st.integers(32, 96), layout=st.sampled_from(LAYOUTS), tiled=st.booleans())
@settings(max_examples=25)
def test_a_larger_picture_takes_no_less(side: int, layout: str, tiled: bool) -> None:
    small, large = (
        plan_memory(SDXL, "fp16", (16 * n, 512), layout=layout, tiled=tiled).peak_bytes  # type: ignore[arg-type]
        for n in (side, side + 1)
    )
    assert small <= large


def test_admission_is_exact_at_the_boundary() -> None:
    plan = plan_memory(SDXL, "fp16", SIZE)
    needed = needed_bytes(plan)
    assert needed == round(plan.peak_bytes * 1.15) + 8 * GIB
    admit(plan, needed)
    with pytest.raises(SceneRefused):
        admit(plan, needed - 1)


def test_the_judges_bytes_are_left_alone() -> None:
    plan = plan_memory(SDXL, "fp16", SIZE)
    needed = needed_bytes(plan)
    assert fits(plan, needed, resident_bytes=HOST_RESERVE_BYTES)
    assert not fits(plan, needed, resident_bytes=HOST_RESERVE_BYTES + 1)
    assert fits(plan, needed + 1, resident_bytes=HOST_RESERVE_BYTES + 1)


def test_the_fastest_way_with_room_is_chosen() -> None:
    layouts = [
        choose_plan(FLUX, "bf16", SIZE, gb * 10**9).layout
        for gb in (60, 40)  # 36 GB resident, 24 GB staged
    ]
    assert layouts == ["resident", "staged"]


def test_a_refusal_names_what_would_fit() -> None:
    with pytest.raises(SceneRefused) as refused:
        choose_plan(FLUX, "bf16", SIZE, 30 * 10**9)
    text = str(refused.value)
    assert "30.0 GB are available" in text
    assert "what would fit: precision fp8" in text
    with pytest.raises(SceneRefused, match=r"what would fit: text encoders first"):
        admit(plan_memory(FLUX, "bf16", SIZE), 38 * 10**9)
    with pytest.raises(SceneRefused, match=r"what would fit: 576x576"):
        choose_plan(SDXL, "fp32", SIZE, 22 * 10**9)


def test_a_refusal_says_when_nothing_fits() -> None:
    with pytest.raises(SceneRefused, match="nothing of this model would fit"):
        choose_plan(FLUX, "bf16", SIZE, 9 * 10**9)


def test_available_is_the_kernels_figure(tmp_path: Path) -> None:
    """Page cache counts as available, and a GPU that shares the host's memory says less."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 128 kB\nMemFree: 1 kB\nMemAvailable:   100000 kB\nCached: 9 kB\n")
    assert read_available_bytes(meminfo=meminfo) == 102_400_000
    shared = DeviceMemory(5, 10, unified=True)
    assert read_available_bytes(shared, meminfo=meminfo) == 102_400_000
    own = DeviceMemory(5, 10, unified=False)
    assert read_available_bytes(own, meminfo=meminfo) == 5
    assert reserve_of(None) == reserve_of(shared) > reserve_of(own)


@pytest.mark.parametrize("text", [None, "MemTotal: 5 kB\n"])
def test_a_kernel_that_does_not_say_is_named(tmp_path: Path, text: str | None) -> None:
    meminfo = tmp_path / "meminfo"
    if text is not None:
        meminfo.write_text(text)
    with pytest.raises(SceneUnavailable, match="meminfo"):
        read_available_bytes(meminfo=meminfo)
