"""Recipes of the families that are shown videos: InternVL, LLaVA-OneVision, Qwen2-VL, Qwen3-VL."""

from __future__ import annotations

from typing import Any

from tests.fakes import tiny_templates as templates
from tests.fakes.tiny_recipe import CLIP_MEAN, CLIP_STD, HALF, Ids, TinyFamily, llama, qwen2, tower

_IM = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_CHATML = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}


def _internvl_config(ids: Ids) -> dict[str, Any]:
    return {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "downsample_ratio": 0.5,
        "image_seq_length": 4,
        "image_token_id": ids["<IMG_CONTEXT>"],
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
        "tie_word_embeddings": False,
        "vision_config": tower("internvl_vision", 56, 14)
        | {"image_size": [56, 56], "patch_size": [14, 14]},
        "text_config": qwen2(),
    }


INTERNVL = TinyFamily(
    model_class="InternVLForConditionalGeneration",
    config=_internvl_config,
    specials=(*_IM, "<img>", "</img>", "<IMG_CONTEXT>", "<video>"),
    roles={
        **_CHATML,
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    },
    preprocessor={
        "crop_to_patches": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": CLIP_MEAN,
        "image_processor_type": "GotOcr2ImageProcessorFast",
        "image_std": CLIP_STD,
        "max_patches": 12,
        "min_patches": 1,
        "processor_class": "InternVLProcessor",
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"height": 56, "width": 56},
    },
    processor={"image_seq_length": 4, "processor_class": "InternVLProcessor"},
    template=templates.INTERNVL,
)


def _onevision_config(ids: Ids) -> dict[str, Any]:
    return {
        "architectures": ["LlavaOnevisionForConditionalGeneration"],
        "model_type": "llava_onevision",
        "image_grid_pinpoints": [[56, 56], [56, 112], [112, 56]],
        "image_token_index": ids["<image>"],
        "video_token_index": ids["<video>"],
        "vision_aspect_ratio": "anyres_max_9",
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "tie_word_embeddings": False,
        "vision_config": tower("siglip_vision_model", 70, 14) | {"vision_use_head": False},
        "text_config": qwen2(),
    }


_SQUARE_70 = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": HALF,
    "image_std": HALF,
    "processor_class": "LlavaOnevisionProcessor",
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"height": 70, "width": 70},
}

LLAVA_ONEVISION = TinyFamily(
    model_class="LlavaOnevisionForConditionalGeneration",
    config=_onevision_config,
    specials=(*_IM, "<image>", "<video>"),
    roles=_CHATML | {"image_token": "<image>", "video_token": "<video>"},
    preprocessor={
        **_SQUARE_70,
        "do_pad": True,
        "image_grid_pinpoints": [[56, 56], [56, 112], [112, 56]],
        "image_processor_type": "LlavaOnevisionImageProcessor",
    },
    processor={
        "image_token": "<image>",
        "num_image_tokens": 25,
        "processor_class": "LlavaOnevisionProcessor",
        "video_token": "<video>",
        "vision_feature_select_strategy": "full",
    },
    video={**_SQUARE_70, "video_processor_type": "LlavaOnevisionVideoProcessor"},
    template=templates.LLAVA_ONEVISION,
    template_file="chat_template.json",
)

_QWEN_SPECIALS = (
    *_IM,
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)


def _qwen_ids(ids: Ids) -> dict[str, Any]:
    return {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": False,
    }


def _qwen2_vl_config(ids: Ids) -> dict[str, Any]:
    """Return the flat layout of Qwen2-VL-7B-Instruct."""
    return {
        **llama(),
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "use_sliding_window": False,
        "rope_theta": 1000000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "vision_config": {
            "model_type": "qwen2_vl",
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 64,
            "in_chans": 3,
            "in_channels": 3,
            "mlp_ratio": 2,
            "num_heads": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "temporal_patch_size": 2,
        },
        **_qwen_ids(ids),
    }


QWEN2_VL = TinyFamily(
    model_class="Qwen2VLForConditionalGeneration",
    config=_qwen2_vl_config,
    specials=_QWEN_SPECIALS,
    roles=_CHATML,
    preprocessor={
        "image_mean": CLIP_MEAN,
        "image_processor_type": "Qwen2VLImageProcessor",
        "image_std": CLIP_STD,
        "max_pixels": 12845056,
        "merge_size": 2,
        "min_pixels": 3136,
        "patch_size": 14,
        "processor_class": "Qwen2VLProcessor",
        "temporal_patch_size": 2,
    },
    processor={},
    template=templates.QWEN_VL,
    template_file="chat_template.json",
)


def _qwen3_vl_config(ids: Ids) -> dict[str, Any]:
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "text_config": {
            **llama(),
            "model_type": "qwen3_vl_text",
            "head_dim": 16,
            "rope_theta": 5000000,
            "rope_scaling": {
                "mrope_interleaved": True,
                "mrope_section": [4, 2, 2],
                "rope_type": "default",
            },
        },
        "vision_config": {
            "model_type": "qwen3_vl",
            "deepstack_visual_indexes": [0, 1],
            "depth": 3,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": 32,
            "in_channels": 3,
            "intermediate_size": 48,
            "num_heads": 2,
            "num_position_embeddings": 64,
            "out_hidden_size": 64,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        **_qwen_ids(ids),
    }


_QWEN3_PIXELS = {
    "image_mean": HALF,
    "image_std": HALF,
    "merge_size": 2,
    "patch_size": 16,
    "processor_class": "Qwen3VLProcessor",
    "temporal_patch_size": 2,
}

QWEN3_VL = TinyFamily(
    model_class="Qwen3VLForConditionalGeneration",
    config=_qwen3_vl_config,
    specials=_QWEN_SPECIALS,
    roles=_CHATML,
    preprocessor={
        **_QWEN3_PIXELS,
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "size": {"longest_edge": 16777216, "shortest_edge": 65536},
    },
    processor={},
    video={
        **_QWEN3_PIXELS,
        "size": {"longest_edge": 25165824, "shortest_edge": 4096},
        "video_processor_type": "Qwen3VLVideoProcessor",
    },
    template=templates.QWEN_VL,
    template_file="chat_template.json",
)
