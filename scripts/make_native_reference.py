"""Write the logits that the native engine's self-test knows: transformers' own, in float32.

    PYTHONPATH=src:. python scripts/make_native_reference.py

Only where the tiny model of `pipeline/engines/native/accuracy/specimen.py` itself was changed: a
reference made anew because the test fails would hide the fault. A test makes them anew and
compares.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.native.accuracy.selftest import REFERENCE
from edgewatch.pipeline.engines.native.accuracy.specimen import (
    RULES,
    SIZES,
    TOKENS_PER_SECOND,
    SpecimenClip,
    specimen_clips,
    weight,
)
from edgewatch.pipeline.engines.native.weights.stored import canonical
from edgewatch.pipeline.engines.transformers.network import Network
from edgewatch.pipeline.engines.transformers.rows import Row, lay_out

_VIDEO_TOKEN = 1


def library_logits() -> npt.NDArray[np.float64]:
    """Return transformers' logits of each clip by itself, (clips, vocabulary)."""
    network = Network(_library_model(), RULES)
    return np.stack([_logits(network, clip) for clip in specimen_clips()])


def main() -> None:
    """Write the file."""
    import torch
    import transformers

    table = {
        "made_by": f"transformers {transformers.__version__}, torch {torch.__version__}, float32",
        "logits": [[float(f"{one:.9g}") for one in clip] for clip in library_logits()],
    }
    lines = ",\n    ".join(json.dumps(clip) for clip in table["logits"])
    REFERENCE.write_text(
        f'{{\n  "made_by": {json.dumps(table["made_by"])},\n  "logits": [\n    {lines}\n  ]\n}}\n',
        "utf-8",
    )


def _logits(network: Network, clip: SpecimenClip) -> npt.NDArray[np.float64]:
    import torch

    passage = clip.passage
    rows = lay_out(
        [Row(passage.script, RULES.temporal_patch / passage.seconds_per_pair)],
        passage.grid,
        video_token=_VIDEO_TOKEN,
        temporal_patch=RULES.temporal_patch,
        tokens_per_second=TOKENS_PER_SECOND,
    )
    with network.windows.ungrouped(), torch.inference_mode():
        patches = network.patcher.patches(torch.from_numpy(clip.frames[None].copy()))
        states = network.read(rows, network.see(patches, passage.grid, 1))
        logits: npt.NDArray[np.float64] = network.model.lm_head(states)[0].double().numpy()
    return logits


def _library_model() -> Any:
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config = Qwen2_5_VLConfig(**_config(), attn_implementation="eager")
    model = Qwen2_5_VLForConditionalGeneration(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weight(canonical(name)).copy()))
    return model


def _config() -> dict[str, Any]:
    language, vision = SIZES.language, SIZES.vision
    return {
        "hidden_size": language.width,
        "intermediate_size": language.mlp,
        "num_attention_heads": language.heads,
        "num_hidden_layers": language.layers,
        "num_key_value_heads": language.kv_heads,
        "rms_norm_eps": language.eps,
        "rope_theta": language.theta,
        "rope_scaling": {"type": "mrope", "mrope_section": list(language.sections)},
        "tie_word_embeddings": language.tied,
        "vocab_size": language.vocabulary,
        "video_token_id": _VIDEO_TOKEN,
        "vision_config": {
            "depth": vision.layers,
            "hidden_act": "silu",
            "hidden_size": vision.width,
            "intermediate_size": vision.mlp,
            "num_heads": vision.heads,
            "in_channels": 3,
            "out_hidden_size": vision.out_width,
            "patch_size": vision.patch,
            "spatial_merge_size": vision.merge,
            "temporal_patch_size": vision.temporal_patch,
            "window_size": vision.window * vision.patch * vision.merge,
            "fullatt_block_indexes": sorted(vision.full_layers),
            "tokens_per_second": int(TOKENS_PER_SECOND),
        },
    }


if __name__ == "__main__":
    main()
