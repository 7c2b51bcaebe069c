"""Recipes of the families that are shown pictures: LLaVA 1.5 and NeXT, Gemma 3 and 3n, MLLaMA."""

from __future__ import annotations

from typing import Any

from tests.fakes import tiny_templates as templates
from tests.fakes.tiny_recipe import CLIP_MEAN, CLIP_STD, HALF, Ids, TinyFamily, llama, tower


def _llava_config(ids: Ids) -> dict[str, Any]:
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "image_token_index": ids["<image>"],
        "image_seq_length": 16,
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "tie_word_embeddings": False,
        "vision_config": tower("clip_vision_model", 56, 14),
        "text_config": llama(),
    }


_LLAVA_PIXELS = {
    "crop_size": {"height": 56, "width": 56},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": 56},
}

LLAVA = TinyFamily(
    model_class="LlavaForConditionalGeneration",
    config=_llava_config,
    specials=("<s>", "</s>", "<pad>", "<image>"),
    roles={"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "image_token": "<image>"},
    preprocessor={
        **_LLAVA_PIXELS,
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "LlavaProcessor",
    },
    processor={
        "image_token": "<image>",
        "num_additional_image_tokens": 1,
        "patch_size": 14,
        "processor_class": "LlavaProcessor",
        "vision_feature_select_strategy": "default",
    },
    template=templates.LLAVA,
    template_file="chat_template.json",
)


def _llava_next_config(ids: Ids) -> dict[str, Any]:
    return _llava_config(ids) | {
        "architectures": ["LlavaNextForConditionalGeneration"],
        "model_type": "llava_next",
        "image_grid_pinpoints": _NEXT_GRIDS,
        "text_config": llama(model_type="mistral", sliding_window=None),
    }


_NEXT_GRIDS = [[56, 112], [112, 56], [112, 112]]

LLAVA_NEXT = TinyFamily(
    model_class="LlavaNextForConditionalGeneration",
    config=_llava_next_config,
    specials=LLAVA.specials,
    roles=LLAVA.roles,
    preprocessor={
        **_LLAVA_PIXELS,
        "do_pad": True,
        "image_grid_pinpoints": _NEXT_GRIDS,
        "image_processor_type": "LlavaNextImageProcessor",
        "processor_class": "LlavaNextProcessor",
    },
    processor=dict(LLAVA.processor) | {"processor_class": "LlavaNextProcessor"},
    template=templates.LLAVA_NEXT,
)


def _gemma3_config(ids: Ids) -> dict[str, Any]:
    return {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "boi_token_index": ids["<start_of_image>"],
        "eoi_token_index": ids["<end_of_image>"],
        "image_token_index": ids["<image_soft_token>"],
        "mm_tokens_per_image": 4,
        "tie_word_embeddings": False,
        "vision_config": tower("siglip_vision_model", 56, 14)
        | {"vision_use_head": False, "num_hidden_layers": 2},
        "text_config": llama(
            model_type="gemma3_text",
            head_dim=16,
            query_pre_attn_scalar=16,
            sliding_window=32,
            layer_types=["sliding_attention", "full_attention"],
            bos_token_id=ids["<bos>"],
            eos_token_id=ids["<eos>"],
            pad_token_id=ids["<pad>"],
        ),
    }


GEMMA3 = TinyFamily(
    model_class="Gemma3ForConditionalGeneration",
    config=_gemma3_config,
    specials=(
        *("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        *("<start_of_image>", "<end_of_image>", "<image_soft_token>"),
    ),
    roles={
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    },
    preprocessor={
        "do_convert_rgb": None,
        "do_normalize": True,
        "do_pan_and_scan": None,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": HALF,
        "image_processor_type": "Gemma3ImageProcessor",
        "image_seq_length": 4,
        "image_std": HALF,
        "pan_and_scan_max_num_crops": None,
        "pan_and_scan_min_crop_size": None,
        "pan_and_scan_min_ratio_to_activate": None,
        "processor_class": "Gemma3Processor",
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": 56, "width": 56},
    },
    processor={"image_seq_length": 4, "processor_class": "Gemma3Processor"},
    template=templates.GEMMA3,
)


def _mllama_config(ids: Ids) -> dict[str, Any]:
    return {
        "architectures": ["MllamaForConditionalGeneration"],
        "model_type": "mllama",
        "image_token_index": ids["<|image|>"],
        "vision_config": {
            "model_type": "mllama_vision_model",
            "attention_heads": 2,
            "hidden_size": 32,
            "image_size": 56,
            "intermediate_layers_indices": [0, 1],
            "intermediate_size": 48,
            "max_num_tiles": 4,
            "num_global_layers": 1,
            "num_hidden_layers": 2,
            "patch_size": 14,
            "supported_aspect_ratios": [
                *([1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]),
            ],
            "vision_output_dim": 96,
        },
        "text_config": llama(
            model_type="mllama_text_model",
            cross_attention_layers=[1],
            num_hidden_layers=3,
            bos_token_id=ids["<|begin_of_text|>"],
            eos_token_id=ids["<|eot_id|>"],
            pad_token_id=ids["<|finetune_right_pad_id|>"],
            max_position_embeddings=131072,
            rope_theta=500000.0,
            rope_scaling={
                "factor": 8.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 8192,
                "rope_type": "llama3",
            },
        ),
    }


MLLAMA = TinyFamily(
    model_class="MllamaForConditionalGeneration",
    config=_mllama_config,
    specials=(
        *("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
        *("<|finetune_right_pad_id|>", "<|python_tag|>", "<|image|>"),
    ),
    roles={
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|eot_id|>",
        "pad_token": "<|finetune_right_pad_id|>",
    },
    preprocessor={
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": CLIP_MEAN,
        "image_processor_type": "MllamaImageProcessor",
        "image_std": CLIP_STD,
        "max_image_tiles": 4,
        "processor_class": "MllamaProcessor",
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": 56, "width": 56},
    },
    processor={},
    template=templates.MLLAMA,
)


def _gemma3n_config(ids: Ids) -> dict[str, Any]:
    return {
        "architectures": ["Gemma3nForConditionalGeneration"],
        "model_type": "gemma3n",
        "audio_soft_tokens_per_image": 4,
        "audio_token_id": ids["<audio_soft_token>"],
        "boa_token_id": ids["<start_of_audio>"],
        "boi_token_id": ids["<start_of_image>"],
        "eoa_token_id": ids["<end_of_audio>"],
        "eoi_token_id": ids["<end_of_image>"],
        "image_token_id": ids["<image_soft_token>"],
        "tie_word_embeddings": False,
        "vision_soft_tokens_per_image": 4,
        "audio_config": {
            "model_type": "gemma3n_audio",
            "conf_num_attention_heads": 2,
            "conf_num_hidden_layers": 1,
            "hidden_size": 32,
            "sscp_conv_channel_size": [8, 4],
            "vocab_offset": 368,
            "vocab_size": 16,
        },
        "text_config": llama(
            model_type="gemma3n_text",
            altup_num_inputs=2,
            activation_sparsity_pattern=[0.0, 0.0],
            head_dim=16,
            hidden_size_per_layer_input=8,
            laurel_rank=8,
            layer_types=["sliding_attention", "full_attention"],
            num_kv_shared_layers=0,
            sliding_window=32,
            vocab_size_per_layer_input=352,
        ),
        "vision_config": {
            "model_type": "gemma3n_vision",
            "architecture": "test_efficientnet",
            "do_pooling": False,
            "hidden_size": 256,
            "vocab_offset": 352,
            "vocab_size": 16,
        },
    }


_AUDIO = ("<start_of_audio>", "<end_of_audio>", "<audio_soft_token>")

GEMMA3N = TinyFamily(
    model_class="Gemma3nForConditionalGeneration",
    config=_gemma3n_config,
    specials=(*GEMMA3.specials, *_AUDIO),
    roles={
        **GEMMA3.roles,
        **dict(zip(("boa_token", "eoa_token", "audio_token"), _AUDIO, strict=True)),
    },
    preprocessor={
        "do_convert_rgb": None,
        "do_normalize": False,
        "do_rescale": True,
        "do_resize": True,
        "feature_extractor_type": "Gemma3nAudioFeatureExtractor",
        "feature_size": 128,
        "image_mean": HALF,
        "image_processor_type": "SiglipImageProcessorFast",
        "image_seq_length": 4,
        "image_std": HALF,
        "processor_class": "Gemma3nProcessor",
        "resample": 2,
        "rescale_factor": 1 / 255,
        "sampling_rate": 16000,
        "size": {"height": 64, "width": 64},
    },
    processor={
        "audio_seq_length": 4,
        "image_seq_length": 4,
        "processor_class": "Gemma3nProcessor",
    },
    template=templates.GEMMA3N,
)
"""Its tower is one of timm's, here the smallest of them: it needs that package."""
