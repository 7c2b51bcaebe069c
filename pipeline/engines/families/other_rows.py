"""Families asked in a way of their own, and those that the library has no class of. Pure."""

from __future__ import annotations

from edgewatch.pipeline.engines.families.family import Family, Limits

_MIDDLE = "learnt with one picture: it sees the middle of a clip"
_SERVED = "chat template of the server"

OWN_FAMILIES = (
    Family(
        name="BLIP-2",
        model_types=("blip-2",),
        media="image",
        runs="transformers",
        transformers_class="Blip2ForConditionalGeneration",
        prompt_form="Question: … Answer:",
        limits=Limits(frames=1, tokens="32 a frame"),
        readme_name="BLIP2",
        members=("blip2-opt-2.7b", "blip2-opt-6.7b", "blip2-flan-t5-xl", "blip2-flan-t5-xxl"),
        note=_MIDDLE + "; with OPT it goes on with the text, with Flan-T5 the first token that its "
        "decoder writes is scored",
    ),
    Family(
        name="Fuyu",
        model_types=("fuyu",),
        media="image",
        runs="transformers",
        transformers_class="FuyuForCausalLM",
        prompt_form="question, line break, the token that begins an answer",
        limits=Limits(frames=1, tokens="one for 30 x 30 pixels, and one a line"),
        readme_name="Fuyu",
        members=("fuyu-8b",),
        note=_MIDDLE + "; needs a transformers whose Fuyu takes pixel_values",
    ),
    Family(
        name="Kosmos-2",
        model_types=("kosmos-2",),
        media="image",
        runs="transformers",
        transformers_class="Kosmos2ForConditionalGeneration",
        prompt_form="Question: … Answer:",
        limits=Limits(frames=1, tokens="64 a frame"),
        readme_name="Kosmos-2",
        members=("kosmos-2-patch14-224",),
        note=_MIDDLE + "; asked without <grounding>, which makes it name places instead",
    ),
    Family(
        name="Pix2Struct, DePlot",
        model_types=("pix2struct",),
        media="page",
        runs="transformers",
        transformers_class="Pix2StructForConditionalGeneration",
        prompt_form="drawn above the picture; where nothing is asked, DePlot's one sentence",
        answers="words",
        limits=Limits(frames=1, tokens="up to 2048 patches"),
        readme_name="Deplot",
        members=("deplot", "pix2struct-docvqa-base", "pix2struct-textcaps-base"),
        note="reads charts and pages; learnt with letters in Arial: put Arial.TTF into the "
        "checkpoint's folder, else Pillow's own stand in",
    ),
    Family(
        name="Nougat",
        model_types=("vision-encoder-decoder",),
        media="page",
        runs="transformers",
        transformers_class="VisionEncoderDecoderModel",
        prompt_form="none: it is asked nothing",
        answers="words",
        limits=Limits(frames=1, tokens="588 a page"),
        readme_name="Nougat",
        members=("nougat-base", "nougat-small"),
        note="reads pages of papers; other encoder-decoders of this type are refused",
    ),
    Family(
        name="Phi-4-multimodal",
        model_types=("phi4_multimodal",),
        media="images",
        runs="transformers",
        transformers_class="Phi4MultimodalForCausalLM",
        prompt_form="<|system|>…<|end|><|user|>…<|end|><|assistant|>",
        limits=Limits(frames=8, tokens="545 a frame of up to 448 x 448, more for larger ones"),
        readme_name="Phi-4-multimodal",
        members=("Phi-4-multimodal-instruct",),
        note="in the library's layout (the published checkpoint's revision refs/pr/70); the "
        "adapter in its folder vision-lora is added to the weights; its ears are not used",
    ),
)
"""Those that transformers runs."""

SERVED_FAMILIES = (
    Family(
        name="Phi-4-multimodal, first layout",
        model_types=("phi4mm",),
        media="images",
        runs="remote",
        transformers_class="",
        prompt_form=_SERVED,
        readme_name="Phi-4-multimodal",
        members=("Phi-4-multimodal-instruct",),
        servers=("trtllm-serve", "vLLM"),
        note='TensorRT-LLM has it (Phi4MMForCausalLM), and kind = "tensorrt" takes Qwen2.5-VL '
        'alone: start trtllm-serve and set kind = "remote"',
    ),
    Family(
        name="VILA, NVILA",
        model_types=("llava_llama",),
        media="video",
        runs="remote",
        transformers_class="",
        prompt_form=_SERVED,
        limits=Limits(tokens="196 a frame"),
        readme_name="VILA",
        members=("VILA1.5-3b", "VILA1.5-13b", "NVILA-8B", "NVILA-Lite-8B"),
        servers=("trtllm-serve",),
        note='TensorRT-LLM has it (VilaModel), and kind = "tensorrt" takes Qwen2.5-VL alone: start '
        'trtllm-serve and set kind = "remote"',
    ),
    Family(
        name="CogVLM",
        model_types=("cogvlm",),
        media="image",
        runs="remote",
        transformers_class="",
        prompt_form=_SERVED,
        limits=Limits(frames=1, tokens="1225 a frame"),
        readme_name="CogVLM",
        members=("cogvlm-chat-hf", "cogvlm2-llama3-chat-19B"),
        servers=("LMDeploy",),
        note=_MIDDLE + "; brings code of its own",
    ),
    Family(
        name="NeVA",
        model_types=("neva",),
        media="image",
        runs="remote",
        transformers_class="",
        prompt_form=_SERVED,
        limits=Limits(frames=1, tokens="up to 729 a frame"),
        readme_name="NeVA",
        members=("neva-22b",),
        servers=("NeMo",),
        note=_MIDDLE + "; a .nemo file without config.json: its type is what TensorRT-LLM calls it",
    ),
    Family(
        name="Video-NeVA",
        model_types=("video-neva",),
        media="video",
        runs="remote",
        transformers_class="",
        prompt_form=_SERVED,
        limits=Limits(frames=12, tokens="256 a frame"),
        readme_name="Video NeVA",
        members=("video-neva",),
        servers=("NeMo",),
        note="a .nemo file without config.json: its type is what TensorRT-LLM calls it; the server "
        "must read as many frames as a clip has, 12 at most",
    ),
    Family(
        name="InternLM-XComposer2",
        model_types=("internlmxcomposer2",),
        media="image",
        runs="remote",
        transformers_class="",
        prompt_form=_SERVED,
        limits=Limits(frames=1, tokens="1225 a frame"),
        readme_name="InternLM-XComposer2",
        members=("internlm-xcomposer2-vl-7b", "internlm-xcomposer2-4khd-7b"),
        servers=("LMDeploy",),
        note=_MIDDLE + "; brings code of its own",
    ),
    Family(
        name="Phi-3-vision, Phi-3.5-vision",
        model_types=("phi3_v",),
        media="images",
        runs="remote",
        transformers_class="",
        prompt_form=_SERVED,
        limits=Limits(tokens="up to 2509 a frame"),
        readme_name="Phi-3-vision",
        members=("Phi-3-vision-128k-instruct", "Phi-3.5-vision-instruct"),
        servers=("vLLM",),
        note="Phi-3.5 learnt with several pictures, Phi-3 with one: for that send = "
        '"image"; start vLLM with --limit-mm-per-prompt \'{"image": N}\', N the frames of a clip',
    ),
)
"""Those that a server runs, for kind = "remote"."""

OTHER_FAMILIES: tuple[Family, ...] = (*OWN_FAMILIES, *SERVED_FAMILIES)
