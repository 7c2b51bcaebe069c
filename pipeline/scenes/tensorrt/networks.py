"""Networks: the parts of a model as modules with exactly the named inputs and outputs of a plan.

The names are those of NVIDIA's demo/Diffusion (`demo_diffusion/model/*.py`) and of Black Forest
Labs' published ONNX files, so that exports of either kind run the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.scenes.diffusion.facts import DiffusionFacts, Family
from edgewatch.pipeline.scenes.models.catalogue import Precision

MOST_PICTURES = 4
"""In one pass; SDXL's guidance takes two of them a picture."""
MOST_TOKENS = 9216
"""Image tokens of Flux: 1536x1536."""


@dataclass(frozen=True, slots=True)
class Network:
    """How one part is found, wrapped and exported."""

    part: str
    folder: str
    """In diffusers' layout."""
    library: str
    kind: str
    """The class, and the library it is of."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    moving: Mapping[str, Mapping[int, str]]
    """Axes that may change, of inputs and outputs."""
    dynamo: bool = False
    """Exported by torch.export; the others by tracing, which is ten times faster."""


_FLUX_INPUTS = (
    "hidden_states",
    "encoder_hidden_states",
    "pooled_projections",
    "timestep",
    "img_ids",
    "txt_ids",
)
_IMAGE = {
    "latent": {0: "B", 2: "latent_rows", 3: "latent_columns"},
    "images": {0: "B", 2: "rows", 3: "columns"},
}


def networks_of(facts: DiffusionFacts) -> tuple[Network, ...]:
    """Return the parts of a model in the order in which they run."""
    vae = Network("vae", "vae", "diffusers", "AutoencoderKL", ("latent",), ("images",), _IMAGE)
    if facts.family == "flux":
        clip = _text("clip", "text_encoder", "CLIPTextModel", ("text_embeddings", _POOLED))
        t5 = _text("t5", "text_encoder_2", "T5EncoderModel", ("text_embeddings",))
        return clip, t5, _flux_transformer(guided=facts.guided), vae
    second = "CLIPTextModelWithProjection"
    both = ("text_embeddings", "hidden_states")
    clip = _text("clip", "text_encoder", "CLIPTextModel", both)
    return clip, _text("clip2", "text_encoder_2", second, both), _sdxl_unet(), vae


def part_precision(family: Family, part: str, precision: Precision) -> Precision:
    """Return the precision in which a part is computed when a model is asked for in another.

    FP8 and FP4 hold for the transformer or UNet alone. SDXL's VAE overflows in 16 bits and paints
    black; Flux's T5 loses its way in float16 (NVIDIA's demo marks it "Known accuracy issues").
    """
    if family == "sdxl" and part == "vae":
        return "fp32"
    if precision in ("fp8", "fp4"):
        return precision if part in ("transformer", "unetxl") else "bf16"
    return "bf16" if part == "t5" and precision == "fp16" else precision


def load_network(network: Network, model_dir: Path, dtype: Any) -> Any:
    """Load one part from diffusers' layout and wrap it. Raises OSError where a file is missing."""
    import importlib

    source = model_dir / network.folder
    kind = getattr(importlib.import_module(network.library), network.kind)
    # Weights that are there in half precision alone carry that in their name.
    halves = any(source.glob("*.fp16.safetensors"))
    full = any(one for one in source.glob("*.safetensors") if ".fp16" not in one.name)
    variant = {"variant": "fp16"} if halves and not full else {}
    more: dict[str, Any] = dict(variant)
    if network.library == "transformers":
        # Traced in float16, torch's own attention adds a float32 mask, which no runtime takes.
        more["attn_implementation"] = "eager"
    module = kind.from_pretrained(str(source), local_files_only=True, dtype=dtype, **more)
    # In training mode T5 drops values at random: the same seed would paint two pictures.
    return wrap(network, module.eval())


def wrap(network: Network, module: Any) -> Any:
    """Return a torch module whose forward takes the named inputs and returns bare tensors."""
    return _WRAPPERS[network.part](network, module)


def example_inputs(network: Network, facts: DiffusionFacts, module: Any, dtype: Any) -> list[Any]:
    """Return small inputs of the right dtypes and shapes.

    Two pictures where their number may change: with one, torch.export would freeze it to 1 and say
    nothing.
    """
    import torch

    pictures, rows, columns = 2, 8, 12
    config = module.inner.config
    match network.part:
        case "clip" | "clip2":
            return [torch.ones(pictures, 77, dtype=torch.int32)]
        case "t5":
            return [torch.ones(pictures, facts.text_length, dtype=torch.int32)]
        case "vae":
            return [torch.randn(pictures, facts.latent_channels, rows, columns, dtype=dtype)]
        case "transformer":
            tokens = rows * columns // 4
            told = [torch.full((1,), 3.5)] if facts.guided else []
            return [
                torch.randn(1, tokens, config.in_channels, dtype=dtype),
                torch.randn(1, facts.text_length, config.joint_attention_dim, dtype=dtype),
                torch.randn(1, config.pooled_projection_dim, dtype=dtype),
                torch.full((1,), 0.5, dtype=dtype),
                torch.zeros(tokens, 3),
                torch.zeros(facts.text_length, 3),
                *told,
            ]
    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    return [
        torch.randn(pictures, config.in_channels, rows, columns, dtype=dtype),
        torch.tensor([501.0]),
        torch.randn(pictures, 77, config.cross_attention_dim, dtype=dtype),
        torch.randn(pictures, pooled, dtype=dtype),
        torch.ones(pictures, 6, dtype=dtype),
    ]


_POOLED = "pooled_embeddings"


def _text(part: str, folder: str, kind: str, outputs: tuple[str, ...]) -> Network:
    moving = {name: {0: "B"} for name in ("input_ids", *outputs)}
    return Network(part, folder, "transformers", kind, ("input_ids",), outputs, moving)


def _flux_transformer(*, guided: bool) -> Network:
    inputs = (*_FLUX_INPUTS, "guidance") if guided else _FLUX_INPUTS
    # One picture a pass, whatever is asked for: torch.export is then half as long at it.
    moving = {"hidden_states": {1: "tokens"}, "img_ids": {0: "tokens"}}
    kind = "FluxTransformer2DModel"
    return Network(
        "transformer", "transformer", "diffusers", kind, inputs, ("latent",), moving, dynamo=True
    )


def _sdxl_unet() -> Network:
    inputs = ("sample", "timestep", "encoder_hidden_states", "text_embeds", "time_ids")
    image = {0: "2B", 2: "latent_rows", 3: "latent_columns"}
    moving = {
        "sample": image,
        "encoder_hidden_states": {0: "2B"},
        "text_embeds": {0: "2B"},
        "time_ids": {0: "2B"},
        "latent": image,
    }
    return Network(
        "unetxl", "unet", "diffusers", "UNet2DConditionModel", inputs, ("latent",), moving
    )


def _wrapped(module: Any, forward: Callable[..., Any]) -> Any:
    """Make a torch module of a function: `forward(inner, *inputs)`, its names kept."""
    import torch

    class Wrapped(torch.nn.Module):  # type: ignore[misc] # torch is not typed here
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

    # The exporters read the names of the inputs off the signature.
    Wrapped.forward = forward
    return Wrapped().eval()


def _wrap_clip(network: Network, module: Any) -> Any:
    pooled = _POOLED in network.outputs

    def forward(self: Any, input_ids: Any) -> Any:
        found = self.inner(input_ids, output_hidden_states=not pooled)
        if pooled:
            return found.last_hidden_state, found.pooler_output
        return found.last_hidden_state, found.hidden_states[-2]

    return _wrapped(module, forward)


def _wrap_clip2(_network: Network, module: Any) -> Any:
    def forward(self: Any, input_ids: Any) -> Any:
        found = self.inner(input_ids, output_hidden_states=True)
        return found.text_embeds, found.hidden_states[-2]

    return _wrapped(module, forward)


def _wrap_t5(_network: Network, module: Any) -> Any:
    def forward(self: Any, input_ids: Any) -> Any:
        return self.inner(input_ids).last_hidden_state

    return _wrapped(module, forward)


def _wrap_transformer(network: Network, module: Any) -> Any:
    from edgewatch.pipeline.scenes.tensorrt.plain_modules import plain_rms_norms, plain_rotary

    module.pos_embed = plain_rotary(module.pos_embed)
    plain_rms_norms(module)

    def run(self: Any, *given: Any) -> Any:
        return self.inner(return_dict=False, **dict(zip(network.inputs, given, strict=True)))[0]

    def plain(
        self: Any,
        hidden_states: Any,
        encoder_hidden_states: Any,
        pooled_projections: Any,
        timestep: Any,
        img_ids: Any,
        txt_ids: Any,
    ) -> Any:
        text = encoder_hidden_states, pooled_projections
        return run(self, hidden_states, *text, timestep, img_ids, txt_ids)

    def guided(
        self: Any,
        hidden_states: Any,
        encoder_hidden_states: Any,
        pooled_projections: Any,
        timestep: Any,
        img_ids: Any,
        txt_ids: Any,
        guidance: Any,
    ) -> Any:
        text = encoder_hidden_states, pooled_projections
        return run(self, hidden_states, *text, timestep, img_ids, txt_ids, guidance)

    return _wrapped(module, guided if "guidance" in network.inputs else plain)


def _wrap_unet(_network: Network, module: Any) -> Any:
    def forward(
        self: Any,
        sample: Any,
        timestep: Any,
        encoder_hidden_states: Any,
        text_embeds: Any,
        time_ids: Any,
    ) -> Any:
        added = {"text_embeds": text_embeds, "time_ids": time_ids}
        return self.inner(
            sample, timestep, encoder_hidden_states, added_cond_kwargs=added, return_dict=False
        )[0]

    return _wrapped(module, forward)


def _wrap_vae(_network: Network, module: Any) -> Any:
    # Only the way back is exported; the encoder's weights are let go.
    module.encoder = None
    module.quant_conv = None

    def forward(self: Any, latent: Any) -> Any:
        return self.inner.decode(latent, return_dict=False)[0]

    return _wrapped(module, forward)


_WRAPPERS: Mapping[str, Callable[[Network, Any], Any]] = {
    "clip": _wrap_clip,
    "clip2": _wrap_clip2,
    "t5": _wrap_t5,
    "transformer": _wrap_transformer,
    "unetxl": _wrap_unet,
    "vae": _wrap_vae,
}
