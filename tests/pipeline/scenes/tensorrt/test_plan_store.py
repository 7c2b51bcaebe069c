"""Plans on disk: named by all that changes them, whole or not there."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.tensorrt.plan_key import (
    PlanIdentity,
    PlanMachine,
    PlanRecipe,
)
from edgewatch.pipeline.scenes.tensorrt.plan_store import PlanStore

MACHINE = PlanMachine("10.13.3.9", "13.0", 580, "12.1", "NVIDIA GB10", "aarch64")
SHAPE = (1, 4, 8, 8)
RECIPE = PlanRecipe(
    model="sdxl",
    part="vae",
    precision="fp16",
    files={"model.onnx": (10, "ab" * 32)},
    patch_version=1,
    text_length=77,
    profile={"latent": (SHAPE, SHAPE, SHAPE)},
)
IDENTITY = PlanIdentity(RECIPE, MACHINE)


def _write(target: Path) -> Mapping[str, Any]:
    target.write_bytes(b"a plan")
    return {"build_seconds": 1.5}


def _seen(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "flux.1-schnell"},
        {"part": "unetxl"},
        {"precision": "bf16"},
        {"files": {"model.onnx": (10, "cd" * 32)}},
        {"files": {"model.onnx": (10, "ab" * 32), "model.onnx.data": (5, "ef" * 32)}},
        {"patch_version": 2},
        {"text_length": 256},
        {"profile": {"latent": (SHAPE, SHAPE, (2, 4, 8, 8))}},
        {"level": 4},
        {"flags": ("TF32",)},
        {"workspace_bytes": 1},
        {"timing_cache": True},
        {"hardware_compatibility": "ampere_plus"},
        {"tensorrt": "10.13.3.10"},
        {"cuda": "13.1"},
        {"driver_major": 590},
        {"compute": "12.0"},
        {"gpu": "NVIDIA RTX"},
        {"platform": "x86_64"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_a_plan_changes_its_key(change: dict[str, Any]) -> None:
    of_machine = {field.name for field in dataclasses.fields(PlanMachine)}
    if change.keys() <= of_machine:
        other = PlanIdentity(RECIPE, dataclasses.replace(MACHINE, **change))
    else:
        other = PlanIdentity(dataclasses.replace(RECIPE, **change), MACHINE)
    assert other.key != IDENTITY.key


def test_the_key_is_the_same_in_every_process() -> None:
    """It names folders: no order of a set and no hash of Python's may be in it."""
    assert IDENTITY.key == PlanIdentity(RECIPE, MACHINE).key
    swapped = (
        dataclasses.replace(RECIPE, files={"b": (1, "b"), "a": (1, "a")}),
        dataclasses.replace(RECIPE, files={"a": (1, "a"), "b": (1, "b")}),
    )
    assert PlanIdentity(swapped[0], MACHINE).key == PlanIdentity(swapped[1], MACHINE).key


def test_a_plan_is_built_once_and_found_again(tmp_path: Path) -> None:
    store = PlanStore(tmp_path)
    built = store.build(IDENTITY, _write)
    assert built.path.read_bytes() == b"a plan"
    assert built.meta["build_seconds"] == 1.5

    def never(_target: Path) -> Mapping[str, Any]:
        raise AssertionError("built twice")

    assert store.build(IDENTITY, never).path == built.path
    assert store.require(IDENTITY).size_bytes == 6


def test_a_build_that_fails_leaves_nothing_to_be_seen(tmp_path: Path) -> None:
    store = PlanStore(tmp_path)

    def fails(target: Path) -> Mapping[str, Any]:
        target.write_bytes(b"half of a pl")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        store.build(IDENTITY, fails)
    assert _seen(tmp_path) == []
    with pytest.raises(SceneUnavailable, match="edgewatch scenes build --model sdxl"):
        store.require(IDENTITY)


def test_what_a_crash_left_is_cleared_by_the_next_build(tmp_path: Path) -> None:
    left = tmp_path / f".{IDENTITY.key}.new"
    left.mkdir(parents=True)
    (left / "plan").write_bytes(b"half")
    assert PlanStore(tmp_path).find(IDENTITY) is None
    PlanStore(tmp_path).build(IDENTITY, _write)
    assert _seen(tmp_path) == [IDENTITY.key]
    assert not left.exists()


@pytest.mark.parametrize("damage", ["cut", "changed", "no meta"])
def test_a_damaged_plan_is_never_tried_and_built_anew(tmp_path: Path, damage: str) -> None:
    store = PlanStore(tmp_path)
    built = store.build(IDENTITY, _write)
    match damage:
        case "cut":
            built.path.write_bytes(b"a pl")
        case "changed":
            built.path.write_bytes(b"b plan")
        case "no meta":
            (built.path.parent / "meta.json").write_text("{")
    with pytest.raises(SceneUnavailable, match="damaged"):
        store.verify(IDENTITY, store.require(IDENTITY))
    again = store.build(IDENTITY, _write)
    assert again.path.read_bytes() == b"a plan"
    store.verify(IDENTITY, again)


def test_a_plan_of_another_machine_is_refused_with_the_reason(tmp_path: Path) -> None:
    store = PlanStore(tmp_path)
    store.build(IDENTITY, _write)
    elsewhere = dataclasses.replace(MACHINE, tensorrt="11.1.0.15", compute="12.0")
    with pytest.raises(SceneUnavailable) as refused:
        store.require(PlanIdentity(RECIPE, elsewhere))
    assert "TensorRT 10.13.3.9, not 11.1.0.15" in str(refused.value)
    assert "compute capability 12.1, not 12.0" in str(refused.value)


def test_two_builders_of_a_plan_take_turns(tmp_path: Path) -> None:
    """The second waits and takes what the first has built."""
    store = PlanStore(tmp_path)
    begun, go_on, built = threading.Event(), threading.Event(), []

    def slow(target: Path) -> Mapping[str, Any]:
        built.append("first")
        begun.set()
        assert go_on.wait(10)
        return _write(target)

    def other(target: Path) -> Mapping[str, Any]:
        built.append("second")
        return _write(target)

    first = threading.Thread(target=store.build, args=(IDENTITY, slow))
    first.start()
    assert begun.wait(10)
    second = threading.Thread(target=PlanStore(tmp_path).build, args=(IDENTITY, other))
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)
    assert built == ["first"]
