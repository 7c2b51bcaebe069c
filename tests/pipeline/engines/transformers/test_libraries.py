"""Versions, devices and quantised weights: let through where they work, refused with the cure."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch

from edgewatch.pipeline.engines.qwen.quantisation import (
    Place,
    Quantisation,
    refuse_int8,
    refuse_unloadable,
)
from edgewatch.pipeline.engines.transformers.libraries import (
    VERSIONS,
    choose_device,
    installed_versions,
    refuse_wrong_versions,
)
from edgewatch.pipeline.errors import EngineFailed

GOOD: dict[str, str | None] = {
    "torch": "2.9.1",
    "transformers": "4.57.3",
    "tokenizers": "0.22.1",
    "safetensors": "0.7.0",
}
MODEL = Path("/models/m")
CPU = Place("cpu", None, frozenset({"compressed-tensors", "bitsandbytes"}))
HOPPER = Place("cuda:0", (9, 0), frozenset({"compressed-tensors", "bitsandbytes"}))
AMPERE = Place("cuda:0", (8, 6), frozenset())


def test_what_is_installed_here_is_let_through() -> None:
    refuse_wrong_versions(installed_versions())


@pytest.mark.parametrize(
    "versions",
    [
        {},
        {"torch": "2.9.0a0+50eac811a6.nv25.09"},
        {"torch": "2.13.0+cpu", "transformers": "5.23.0", "tokenizers": "0.23.3"},
    ],
)
def test_versions_in_range_are_let_through(versions: dict[str, str | None]) -> None:
    refuse_wrong_versions({**GOOD, **versions})


@pytest.mark.parametrize(
    ("versions", "named"),
    [
        ({"transformers": "4.51.3"}, "transformers 4.51.3 is installed, transformers >=4.57,<6"),
        ({"transformers": "6.0.0"}, "transformers 6.0.0"),
        ({"transformers": None, "torch": None}, "torch .*not installed; transformers .*not inst"),
        ({"torch": "2.5.1+cu121"}, r"torch 2.5.1\+cu121"),
    ],
)
def test_wrong_versions_are_named_with_the_range_and_the_cure(
    versions: dict[str, str | None], named: str
) -> None:
    with pytest.raises(EngineFailed, match=named + r".*pip install 'edgewatch\[transformers\]'"):
        refuse_wrong_versions({**GOOD, **versions})


def test_extra_of_the_package_says_the_same_ranges() -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text("utf-8"))
    assert set(project["project"]["optional-dependencies"]["transformers"]) == {
        f"{name}>={'.'.join(map(str, first))},<{'.'.join(map(str, end))}"
        for name, (first, end) in VERSIONS.items()
    } | {"pillow>=10"}  # what the official image processors of some families read with


def test_device_is_chosen_or_refused() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    if torch.cuda.is_available():
        assert choose_device("auto") == choose_device("cuda") == torch.device("cuda:0")
    else:
        assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(EngineFailed, match=r'device = "cuda:63".*sees \d+ GPUs.*device = "cpu"'):
        choose_device("cuda:63")


@pytest.mark.parametrize(
    ("found", "place"),
    [
        (None, CPU),
        (Quantisation("compressed-tensors", "float-quantized"), CPU),
        (Quantisation("compressed-tensors", "nvfp4-pack-quantized"), HOPPER),
        (Quantisation("fp8", "e4m3"), HOPPER),
        (Quantisation("bitsandbytes", "8 bits"), HOPPER),
        (Quantisation("modelopt", "NVFP4"), CPU),
    ],
)
def test_quantised_checkpoint_is_let_through_where_it_can_be_loaded(
    found: Quantisation | None, place: Place
) -> None:
    refuse_unloadable(MODEL, found, place)


@pytest.mark.parametrize(
    ("found", "place", "named"),
    [
        (Quantisation("compressed-tensors", "x"), AMPERE, "pip install compressed-tensors"),
        (Quantisation("fp8", "e4m3"), AMPERE, "8.9"),
        (Quantisation("fp8", "e4m3"), CPU, "cpu has no FP8"),
        (Quantisation("bitsandbytes", ""), CPU, "CUDA"),
        (Quantisation("bitsandbytes", ""), AMPERE, "pip install bitsandbytes"),
        (Quantisation("gptq", ""), HOPPER, r'kind = "remote"'),
    ],
)
def test_quantised_checkpoint_is_refused_with_what_could_run_it(
    found: Quantisation, place: Place, named: str
) -> None:
    with pytest.raises(EngineFailed, match=f"{MODEL} is quantised.*{named}.*bf16"):
        refuse_unloadable(MODEL, found, place)


@pytest.mark.parametrize(
    ("found", "place", "named"),
    [
        (None, CPU, "needs a CUDA GPU, not cpu"),
        (None, AMPERE, "pip install bitsandbytes"),
        (Quantisation("fp8", "e4m3"), HOPPER, "e4m3 by fp8 already"),
    ],
)
def test_int8_at_load_is_refused_with_the_cure(
    found: Quantisation | None, place: Place, named: str
) -> None:
    refuse_int8(None, HOPPER)
    with pytest.raises(EngineFailed, match=named):
        refuse_int8(found, place)
