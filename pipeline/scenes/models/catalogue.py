"""The catalogue: which models paint scenes, of what parts they are, what they weigh. Pure.

Parameters were counted on models built without weights from the published configurations; times
two they agree with the published files. Guidance, steps and text lengths are the model cards'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgewatch.pipeline.errors import SceneRefused

Precision = Literal["fp32", "bf16", "fp16", "fp8", "fp4"]
Phase = Literal["text", "denoise", "decode"]

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "fp8", "fp4")

BITS: Mapping[Precision, float] = {"fp32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "fp4": 4.5}
"""Bits a weight takes. FP4 (NVFP4): groups of 16 weights of 4 bits share a scale of 8."""


@dataclass(frozen=True, slots=True)
class Component:
    """One network of a model."""

    name: str
    """Its folder in diffusers' layout."""
    parameters: int
    phase: Phase
    """One phase's networks are in memory at a time: text, then denoise, then decode."""
    quantised: bool = False
    """FP8 and FP4 hold for it; the others stay at 16 bits then."""
    least: Precision | None = None
    """The only precision it works in: SDXL's VAE overflows in 16 bits and paints black."""

    def precision(self, wanted: Precision) -> Precision:
        """Return what it really is in when a model is asked for in a precision."""
        if self.least is not None:
            return self.least
        if wanted in ("fp8", "fp4") and not self.quantised:
            return "bf16"
        return wanted

    def size_bytes(self, wanted: Precision) -> int:
        """Return what its weights take when the model is asked for in a precision."""
        return round(self.parameters * BITS[self.precision(wanted)] / 8)


@dataclass(frozen=True, slots=True)
class SceneModel:
    """A model that paints pictures of texts."""

    name: str
    title: str
    repo: str
    """Repository of the weights in diffusers' layout."""
    onnx_repo: str | None
    """Repository with ready ONNX exports; None: `build` exports by itself."""
    onnx_precisions: tuple[Precision, ...]
    """In which precisions that repository has the transformer."""
    licence: str
    """Key of `licences.LICENCES`."""
    gated: bool
    """Its terms must be accepted on the hub's page, and a token shown."""
    default_precision: Precision
    precisions: tuple[Precision, ...]
    steps: int
    most_steps: int
    guidance: float
    """0: the model takes none. FLUX.1-dev takes it as an input, SDXL runs twice a step."""
    max_text_tokens: int
    """Of the longer text encoder."""
    components: tuple[Component, ...]
    side_folders: tuple[str, ...]
    """Folders that hold no weights: tokenizers and the scheduler."""
    variant: str | None = None
    """Which of several copies of the weights is fetched: "fp16" of model.fp16.safetensors."""
    latent_channels: int = 16
    side_multiple: int = 16
    """Both sides of a picture are multiples of it, in pixels."""
    least_side: int = 256
    most_side: int = 1536

    def component(self, name: str) -> Component:
        """Return a network by name. Raises KeyError."""
        return {one.name: one for one in self.components}[name]


_CLIP_L = Component("text_encoder", 123_060_480, "text")
_T5_XXL = Component("text_encoder_2", 4_762_310_656, "text")
_FLUX_VAE = Component("vae", 83_819_683, "decode")
_FLUX_FOLDERS = ("scheduler", "tokenizer", "tokenizer_2")
_FLUX_PRECISIONS: tuple[Precision, ...] = ("bf16", "fp16", "fp8", "fp4", "fp32")

MODELS: Mapping[str, SceneModel] = {
    model.name: model
    for model in (
        SceneModel(
            name="flux.1-schnell",
            title="FLUX.1 [schnell], 12B, Black Forest Labs",
            repo="black-forest-labs/FLUX.1-schnell",
            onnx_repo="black-forest-labs/FLUX.1-schnell-onnx",
            onnx_precisions=("bf16", "fp8", "fp4"),
            licence="apache-2.0",
            gated=True,
            default_precision="bf16",
            precisions=_FLUX_PRECISIONS,
            steps=4,
            most_steps=4,
            guidance=0.0,
            max_text_tokens=256,
            components=(
                _CLIP_L,
                _T5_XXL,
                Component("transformer", 11_891_178_560, "denoise", quantised=True),
                _FLUX_VAE,
            ),
            side_folders=_FLUX_FOLDERS,
        ),
        SceneModel(
            name="flux.1-dev",
            title="FLUX.1 [dev], 12B, Black Forest Labs",
            repo="black-forest-labs/FLUX.1-dev",
            onnx_repo="black-forest-labs/FLUX.1-dev-onnx",
            onnx_precisions=("bf16", "fp8", "fp4"),
            licence="flux-1-dev",
            gated=True,
            default_precision="bf16",
            precisions=_FLUX_PRECISIONS,
            steps=50,
            most_steps=100,
            guidance=3.5,
            max_text_tokens=512,
            components=(
                _CLIP_L,
                _T5_XXL,
                Component("transformer", 11_901_408_320, "denoise", quantised=True),
                _FLUX_VAE,
            ),
            side_folders=_FLUX_FOLDERS,
        ),
        SceneModel(
            name="sdxl",
            title="Stable Diffusion XL base 1.0, 3.5B, Stability AI",
            repo="stabilityai/stable-diffusion-xl-base-1.0",
            onnx_repo=None,
            onnx_precisions=(),
            licence="openrail++-m",
            gated=False,
            default_precision="fp16",
            precisions=("fp16", "bf16", "fp8", "fp32"),
            steps=30,
            most_steps=100,
            guidance=5.0,
            max_text_tokens=77,
            components=(
                _CLIP_L,
                # CLIP-G with the projection of its pooled output.
                Component("text_encoder_2", 694_659_840, "text"),
                Component("unet", 2_567_463_684, "denoise", quantised=True),
                Component("vae", 83_653_863, "decode", least="fp32"),
            ),
            side_folders=("scheduler", "tokenizer", "tokenizer_2"),
            variant="fp16",
            latent_channels=4,
            least_side=512,
        ),
    )
}


def model_named(name: str) -> SceneModel:
    """Return a model. Raises SceneRefused, which names those there are."""
    if (model := MODELS.get(name)) is None:
        raise SceneRefused(f'there is no model "{name}"; there are {", ".join(MODELS)}')
    return model


def precision_of(model: SceneModel, wanted: str) -> Precision:
    """Return the precision a setting stands for, "auto" the model's own. Raises SceneRefused."""
    if wanted == "auto":
        return model.default_precision
    for precision in model.precisions:
        if precision == wanted:
            return precision
    there = ", ".join(model.precisions)
    raise SceneRefused(f'{model.name} does not come in precision "{wanted}"; it does in {there}')


def size_bytes(model: SceneModel, precision: Precision) -> int:
    """Return what all weights take in a precision: on disk as ONNX or plans, loaded at once."""
    return sum(component.size_bytes(precision) for component in model.components)


def download_bytes(model: SceneModel, precision: Precision, *, onnx: bool = False) -> int:
    """Return about how much is fetched: 16 bits a weight whatever the precision, but for ONNX.

    `diffusers` makes FP8 and FP4 of the 16-bit weights while it loads them.
    """
    wanted = precision if onnx else ("fp16" if model.variant == "fp16" else "bf16")
    return size_bytes(model, wanted)
