"""What ModelOpt itself makes of tiny models: a checkpoint a format, and what it computed with.

ModelOpt takes seconds to import, so one test module alone uses this.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.tiny_qwen import tiny_model

CONFIGS = {
    "NVFP4": "NVFP4_DEFAULT_CFG",
    "FP8": "FP8_DEFAULT_CFG",
    "W8A8_SQ_PER_CHANNEL": "INT8_SMOOTHQUANT_CFG",
    "W4A16_AWQ": "INT4_AWQ_CFG",
}
"""Our name of a format to ModelOpt's of its recipe."""
ANSWERS = ([0, 1], [2, 3])
DOWN = "model.layers.0.mlp.down_proj"


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """One quantised tiny model."""

    directory: Path
    source: Mapping[str, Any]
    """The weights before, by the names of the library's class, in bfloat16."""
    logits: Any
    """What ModelOpt's imitation (fake quantisation) answers to `tokens`; None for NVFP4, which
    it imitates on a GPU only."""
    down_weight: Any
    """The weight of `DOWN` as it imitates it, float32; None for NVFP4."""
    down_inputs: Any
    """(inputs of DOWN, the same as it imitates them), float32; None where it leaves them."""


def tokens() -> Any:
    """Return a text that no calibration has seen."""
    import torch

    return torch.randint(0, 250, (1, 24), generator=torch.Generator().manual_seed(9))


def calibration_tokens() -> Any:
    """Return the text that the models are calibrated with."""
    import torch

    return torch.randint(0, 250, (2, 64), generator=torch.Generator().manual_seed(8))


def make_export(tiny: Path, folder: Path, algorithm: str) -> Export:
    """Quantise the tiny model with ModelOpt and export it; INT4 AWQ's is twice as wide."""
    import torch

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import modelopt.torch.quantization as mtq
        from modelopt.torch.export import export_hf_checkpoint

        model = _model(tiny, wide=algorithm == "W4A16_AWQ")
        source = {name: one.clone() for name, one in model.state_dict().items()}
        recipe = copy.deepcopy(getattr(mtq, CONFIGS[algorithm]))
        mtq.quantize(model, recipe, lambda each: each(input_ids=calibration_tokens()))
        with torch.inference_mode():
            logits, weight, inputs = _imitated(model, algorithm)
            export_hf_checkpoint(model, dtype=torch.bfloat16, export_dir=folder)
    for name in ("tokenizer.json", "preprocessor_config.json"):
        shutil.copy(tiny / name, folder / name)
    return Export(folder, source, logits, weight, inputs)


def _model(tiny: Path, *, wide: bool) -> Any:
    import torch

    config = json.loads((tiny / "config.json").read_text("utf-8"))
    if wide:  # its groups of 128 must fill a row
        config |= {"hidden_size": 128, "intermediate_size": 256}
        config["vision_config"]["out_hidden_size"] = 128
        config["rope_scaling"] = {"type": "mrope", "mrope_section": [4, 6, 6]}
    return tiny_model(config, ANSWERS, seed=0).to(torch.bfloat16)


def _imitated(model: Any, algorithm: str) -> tuple[Any, Any, Any]:
    import torch

    if algorithm == "NVFP4":
        return None, None, None
    model.float()  # the imitation alone is to be seen, not bfloat16's rounding
    down = model.model.language_model.layers[0].mlp.down_proj
    seen = torch.randn(3, down.in_features, generator=torch.Generator().manual_seed(7))
    inputs = seen, down.input_quantizer(seen)
    found = model(input_ids=tokens()).logits, down.weight_quantizer(down.weight).clone(), inputs
    model.to(torch.bfloat16)
    return found
