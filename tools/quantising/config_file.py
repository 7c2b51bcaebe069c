"""The config.json of a quantised checkpoint: the original's own, with three things changed. Pure.

The one that ModelOpt writes is in the layout of the library installed here, which an older one
(TensorRT-LLM 1.2 holds transformers 4.57) may not read; the original's was published for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewatch.pipeline.errors import EngineFailed

ROPE_TYPE = "mrope"
"""Older loaders know the published "default" for no place of a video in time."""
DTYPE = "bfloat16"


def patched(original: Mapping[str, Any], quantisation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the original's table, for the quantised checkpoint.

    `quantisation`: what ModelOpt says under "quantization_config". Raises EngineFailed if the
    original does not say how a video's time is turned into places.
    """
    config = {key: value for key, value in original.items() if key != "dtype"}
    config["torch_dtype"] = DTYPE
    config["quantization_config"] = dict(quantisation)
    text = config.get("text_config")
    if isinstance(text, Mapping):
        config["text_config"] = text = dict(text)
        if "dtype" in text or "torch_dtype" in text:
            text.pop("dtype", None)
            text["torch_dtype"] = DTYPE
    holder = text if isinstance(text, dict) and "rope_scaling" not in config else config
    scaling = holder.get("rope_scaling") or holder.get("rope_parameters")
    if not isinstance(scaling, Mapping) or not scaling.get("mrope_section"):
        raise EngineFailed(
            "the original's config.json lacks rope_scaling with mrope_section, which places a "
            "video in time",
            "take config.json of the published checkpoint",
        )
    if "rope_scaling" not in holder and "rope_theta" in scaling:
        holder["rope_theta"] = scaling["rope_theta"]
    holder["rope_scaling"] = {"type": ROPE_TYPE, "mrope_section": list(scaling["mrope_section"])}
    return config


def problems(config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a quantised checkpoint's config.json, a sentence each."""
    found = []
    text = config.get("text_config")
    text = text if isinstance(text, Mapping) else {}
    scaling = config.get("rope_scaling") or text.get("rope_scaling")
    if not isinstance(scaling, Mapping) or not scaling.get("mrope_section"):
        found.append("config.json lacks rope_scaling with mrope_section")
    elif scaling.get("type") != ROPE_TYPE:
        found.append(
            f'config.json has rope_scaling of type "{scaling.get("type")}", which older loaders '
            f'refuse: it must be "{ROPE_TYPE}"'
        )
    dtype = config.get("torch_dtype") or config.get("dtype")
    if dtype != DTYPE:
        found.append(f'config.json has torch_dtype "{dtype}", not "{DTYPE}"')
    vision = config.get("vision_config")
    seconds = vision.get("tokens_per_second") if isinstance(vision, Mapping) else None
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds <= 0:
        found.append("config.json lost vision_config.tokens_per_second, the model's sense of time")
    return found


def quantisation_problems(
    declared: Mapping[str, Any], embedded: object, algorithm: str, group: int | None
) -> list[str]:
    """Return what is wrong with what a checkpoint says of its quantisation.

    `declared`: "quantization" of hf_quant_config.json; `embedded`: config.json's
    "quantization_config".
    """
    found = []
    if declared.get("quant_algo") != algorithm:
        found.append(f"hf_quant_config.json says {declared.get('quant_algo')}, not {algorithm}")
    if group is not None and declared.get("group_size") != group:
        found.append(
            f"hf_quant_config.json says groups of {declared.get('group_size')}, not of {group}"
        )
    excluded = [str(one) for one in declared.get("exclude_modules") or ()]
    found += [
        f"hf_quant_config.json does not exclude {module}"
        for module in ("lm_head", "visual")
        if not any(module in one for one in excluded)
    ]
    if declared.get("kv_cache_quant_algo"):
        found.append(
            f"hf_quant_config.json switches on a {declared['kv_cache_quant_algo']} cache of keys "
            "and values, which moves scores"
        )
    if not isinstance(embedded, Mapping):
        found.append("config.json lacks quantization_config")
        return found
    if embedded.get("quant_algo") != algorithm:
        found.append(f"config.json says {embedded.get('quant_algo')}, not {algorithm}")
    if embedded.get("kv_cache_scheme"):
        found.append("config.json switches on a quantised cache of keys and values")
    return found
