"""The self-test knows the right answers and sees every kind of fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgewatch.pipeline.engines.native.accuracy.selftest import (
    difference,
    limit,
    reference,
    self_test,
    specimen_logits,
)
from edgewatch.pipeline.engines.native.accuracy.specimen import (
    SIZES,
    Kind,
    SpecimenClip,
    specimen_clips,
    weight,
)
from edgewatch.pipeline.engines.native.plain import PlainOperations
from edgewatch.pipeline.errors import EngineFailed
from tests.fakes.broken_operations import (
    BROKEN,
    DoesNotRun,
    GatesTheOtherHalf,
    RoundsToFourBits,
    WrongForMuch,
)

SCRIPT = Path(__file__).parents[4] / "scripts/make_native_reference.py"
KINDS: tuple[Kind, ...] = ("none", "rows", "fixed")


def test_known_logits_are_those_of_transformers() -> None:
    """The stored file is what the script would write again."""
    known = reference()
    apart = np.linalg.norm(_script().library_logits() - known, axis=1) / np.linalg.norm(
        known, axis=1
    )
    assert apart.max() < 1e-5


def _script() -> ModuleType:
    """The script is no package's."""
    spec = spec_from_file_location(SCRIPT.stem, SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_weights_are_the_same_to_the_last_bit() -> None:
    """A few spelled out, so that another machine or NumPy would be noticed."""
    found = weight("model.layers.1.mlp.down_proj.weight")
    assert found.shape == (SIZES.language.width, SIZES.language.mlp)
    assert (found[0, :4] * 2**10).tolist() == [79.0, 1.0, 39.0, 103.0]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_right_answers_pass_with_room_to_spare(dtype: str) -> None:
    """Half of what is allowed is left where kernels sum in other orders."""
    import torch

    kind = getattr(torch, dtype)
    device = torch.device("cpu")
    found = self_test(PlainOperations(kind), device, kind, KINDS)
    assert set(found.differences) == set(KINDS)
    for one, apart in found.differences.items():
        assert apart < 0.7 * limit(kind, one)
    assert found.seconds < 60


@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: one.__name__)
def test_a_wrong_pass_is_seen(broken: type[PlainOperations]) -> None:
    """By five times what rounding to bfloat16 explains, and by more than FP8 does."""
    import torch

    operations = broken(torch.float32)
    found = difference(specimen_logits(operations, torch.device("cpu"), torch.float32, "none"))
    assert not found <= max(5 * limit(torch.bfloat16, "none"), limit(torch.bfloat16, "rows"))


def test_a_refusal_names_the_device_the_libraries_and_the_cure() -> None:
    """And what was wrong with it."""
    import torch

    with pytest.raises(EngineFailed, match="self-test of the native engine failed") as refused:
        self_test(GatesTheOtherHalf(torch.bfloat16), torch.device("cpu"), torch.bfloat16, ["none"])
    assert "on cpu" in str(refused.value)
    assert f"torch {torch.__version__}" in str(refused.value)
    assert "triton" in str(refused.value)
    assert "GatesTheOtherHalf" in str(refused.value)
    assert 'kind = "transformers"' in refused.value.cure


@pytest.mark.parametrize("kind", ["rows", "fixed"])
def test_wrong_codes_are_seen(kind: Kind) -> None:
    """Plain products pass, quantised ones do not."""
    import torch

    with pytest.raises(EngineFailed, match=rf"FP8 \({kind}\) products"):
        self_test(RoundsToFourBits(torch.float32), torch.device("cpu"), torch.float32, [kind])


def test_what_runs_with_large_inputs_alone_is_tried() -> None:
    """The tiny model's inputs would never take that kernel."""
    import torch

    with pytest.raises(EngineFailed, match="self-test of the native engine failed"):
        self_test(WrongForMuch(torch.float32), torch.device("cpu"), torch.float32, ["none"])


def test_a_kernel_that_does_not_run_is_named() -> None:
    """As where Triton cannot compile for a device."""
    import torch

    with pytest.raises(EngineFailed, match=r"self-test of the native engine broke .* no image"):
        self_test(DoesNotRun(torch.float32), torch.device("cpu"), torch.float32, ["none"])


def _all_at_once(clip: SpecimenClip) -> SpecimenClip:
    """The rule of transformers 5.17 at 4 fps: every pair at the same time."""
    return replace(clip, passage=replace(clip.passage, seconds_per_pair=0.0))


def _another_prefix(clip: SpecimenClip) -> SpecimenClip:
    """What is known was read of other tokens."""
    script = clip.passage.script
    turned = replace(script, before=(*script.before[1:], script.before[0]))
    return replace(clip, passage=replace(clip.passage, script=turned))


@pytest.mark.parametrize("wrong", [_all_at_once, _another_prefix])
def test_wrong_places_and_prefixes_are_seen(
    wrong: Callable[[SpecimenClip], SpecimenClip],
) -> None:
    """Far beyond what bfloat16 allows."""
    import torch

    clips = [wrong(clip) for clip in specimen_clips()]
    operations = PlainOperations(torch.float32)
    logits = specimen_logits(operations, torch.device("cpu"), torch.float32, "none", clips)
    assert difference(logits) > 3 * limit(torch.bfloat16, "none")
