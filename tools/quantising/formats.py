"""Formats: what `edgewatch quantize --to` can make, and what each keeps of a layer. Pure.

Sources: ModelOpt 0.47, `modelopt.torch.export.quant_utils` (`to_quantized_weight`,
`pack_int4_in_uint8`) and `modelopt.torch.quantization.qtensor.nvfp4_tensor`; the names of
algorithms are those that TensorRT-LLM reads from hf_quant_config.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewatch.config.errors import ConfigError

FormatName = Literal["nvfp4", "fp8", "int8-sq", "int4-awq"]


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor that a quantised layer has in place of its weight."""

    dtypes: tuple[str, ...]
    """As safetensors writes them; any of these."""
    shape: tuple[int, ...]
    required: bool = True


@dataclass(frozen=True, slots=True)
class Format:
    """A way to keep the language model's weights in fewer bits."""

    name: FormatName
    algorithm: str
    """As hf_quant_config.json calls it."""
    recipe: str
    """The name of ModelOpt's own configuration that ours starts from."""
    calibration: str
    """ModelOpt's algorithm; "max" takes the largest value seen."""
    group: int | None
    """Weights that share a scale; None: a whole row or matrix does."""
    samples: int
    """Clips or texts to calibrate with where nothing else is said."""
    width_step: int
    """What the width of a layer's input must be a multiple of."""
    folds_norms: bool
    """Whether scales of the inputs may be folded into the norms before them."""
    loosest: float
    """Largest relative error of a weight matrix, root mean square, that rounding can explain.

    Measured on normally distributed weights: 0.095 for NVFP4, 0.026 for FP8. SmoothQuant and AWQ
    spend their bits on the columns whose inputs are large, and may lose the others."""

    @property
    def suffix(self) -> str:
        """What a checkpoint's directory is called by: "NVFP4"."""
        return self.name.upper()

    def parts(self, out: int, width: int) -> dict[str, Part]:
        """Return what stands for a weight of shape (out, width), by the ending of its name."""
        scalar = Part(("F32",), ())
        match self.name:
            case "nvfp4":
                return {
                    "weight": Part(("U8",), (out, width // 2)),
                    "weight_scale": Part(("F8_E4M3",), (out, width // 16)),
                    "weight_scale_2": scalar,
                    "input_scale": scalar,
                }
            case "fp8":
                return {
                    "weight": Part(("F8_E4M3",), (out, width)),
                    "weight_scale": scalar,
                    "input_scale": scalar,
                }
            case "int8-sq":
                return {
                    "weight": Part(("I8",), (out, width)),
                    "weight_scale": Part(("F32",), (out,)),
                    "input_scale": scalar,
                    "pre_quant_scale": Part(("BF16", "F32"), (width,), required=False),
                }
            case "int4-awq":
                return {
                    "weight": Part(("U8",), (out // 2, width)),
                    "weight_scale": Part(("F32", "BF16"), (out, width // 128)),
                    "pre_quant_scale": Part(("BF16", "F32"), (width,), required=False),
                }


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("nvfp4", "NVFP4", "NVFP4_DEFAULT_CFG", "max", 16, 512, 16, False, 0.20),
        Format("fp8", "FP8", "FP8_DEFAULT_CFG", "max", None, 512, 1, False, 0.06),
        Format(
            "int8-sq",
            "W8A8_SQ_PER_CHANNEL",
            "INT8_SMOOTHQUANT_CFG",
            "smoothquant",
            None,
            512,
            1,
            True,
            1.0,
        ),
        # Each sample is read twelve times by the search for scales, and 32 are what NVIDIA's own
        # examples take.
        Format("int4-awq", "W4A16_AWQ", "INT4_AWQ_CFG", "awq_lite", 128, 32, 128, True, 0.5),
    )
}


def format_of_algorithm(algorithm: object) -> Format:
    """Return the format of hf_quant_config.json's `quant_algo`. Raises ConfigError."""
    for one in FORMATS.values():
        if one.algorithm == algorithm:
            return one
    known = ", ".join(one.algorithm for one in FORMATS.values())
    raise ConfigError(f"quant_algo {algorithm!r} is none that `edgewatch quantize` makes ({known})")
