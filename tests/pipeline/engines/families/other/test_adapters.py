"""Phi-4's sight as an adapter: added to the weights as LoRA says; refused if it does not fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edgewatch.pipeline.engines.families.table import family_of
from edgewatch.pipeline.engines.transformers.general.adapters import FOLDER
from edgewatch.pipeline.engines.transformers.general.network import load_general
from edgewatch.pipeline.errors import EngineFailed

Checkpoint = Callable[[str], Path]
RANK = 2
LAYER = "model.layers.1.self_attn.o_proj"
NAMES = {side: f"base_model.model.{LAYER}.lora_{side}.weight" for side in "AB"}


def with_adapter(checkpoint: Checkpoint, directory: Path, *, width: int = 32) -> Path:
    """A copy of Phi-4 with an adapter for one layer."""
    copy = Path(shutil.copytree(checkpoint("phi4_multimodal"), directory / "phi"))
    (copy / FOLDER).mkdir()
    random = torch.Generator().manual_seed(1)
    parts = {
        NAMES["A"]: torch.randn(RANK, width, generator=random),
        NAMES["B"]: torch.randn(32, RANK, generator=random),
    }
    save_file(parts, str(copy / FOLDER / "adapter_model.safetensors"))
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 8, "bias": "none"}
    (copy / FOLDER / "adapter_config.json").write_text(json.dumps(config))
    return copy


def loaded(directory: Path) -> torch.nn.Module:
    network = load_general(directory, family_of("phi4_multimodal"), torch.device("cpu"))
    model: torch.nn.Module = network.model
    return model


def test_an_adapter_is_added_to_its_layers_weights_alone(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    directory = with_adapter(checkpoint, tmp_path)
    parts = load_file(str(directory / FOLDER / "adapter_model.safetensors"))
    plain, changed = loaded(checkpoint("phi4_multimodal")), loaded(directory)
    after = dict(changed.named_parameters())
    for name, weight in plain.named_parameters():
        change = torch.zeros_like(weight)
        if name == f"{LAYER}.weight":
            change = 8 / RANK * (parts[NAMES["B"]] @ parts[NAMES["A"]])
        torch.testing.assert_close(after[name], weight + change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"use_dora": True}, "no plain LoRA \\(use_dora\\)"),
        ({"peft_type": "IA3"}, "no plain LoRA"),
        ({"lora_alpha": None}, "adapter of .* cannot be used"),
    ],
)
def test_an_adapter_of_another_kind_is_refused(
    checkpoint: Checkpoint, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    directory = with_adapter(checkpoint, tmp_path)
    file = directory / FOLDER / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(EngineFailed, match=said):
        loaded(directory)


def test_an_adapter_of_another_size_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"adapter for \(32, 16\) weights meets \(32, 32\)"):
        loaded(with_adapter(checkpoint, tmp_path, width=16))
