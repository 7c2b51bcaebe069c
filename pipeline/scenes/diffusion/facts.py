"""Facts: what of a model's configuration the arithmetic around its networks needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.diffusion.flux import FluxSchedule
from edgewatch.pipeline.scenes.diffusion.sdxl import SdxlSchedule

Family = Literal["flux", "sdxl"]
PARTS: Mapping[Family, tuple[str, ...]] = {
    "flux": ("clip", "t5", "transformer", "vae"),
    "sdxl": ("clip", "clip2", "unetxl", "vae"),
}
"""The networks of a model in the order in which they run."""
TEXT_PARTS = ("clip", "clip2", "t5")


@dataclass(frozen=True, slots=True)
class DiffusionFacts:
    """A model, but for its weights."""

    family: Family
    latent_channels: int
    factor: int
    """Pixels a latent, each way."""
    scale: float
    shift: float
    """The VAE's scaling_factor and shift_factor (0 for SDXL)."""
    text_length: int
    """Tokens of the longer text encoder."""
    guided: bool = False
    """Flux: the network takes `guidance`; SDXL: always False, it is guided by a second pass."""
    zeros_for_no_prompt: bool = True
    schedule: FluxSchedule | SdxlSchedule = field(default_factory=FluxSchedule)

    @property
    def parts(self) -> tuple[str, ...]:
        """The networks, in the order in which they run."""
        return PARTS[self.family]

    @property
    def multiple(self) -> int:
        """What both sides of a picture must be multiples of, pixels: 16 for the real models."""
        return 2 * self.factor

    def as_json(self) -> dict[str, Any]:
        """Return what `facts_of_json` reads."""
        return dataclasses.asdict(self)


def facts_of_json(row: Mapping[str, Any]) -> DiffusionFacts:
    """Undo `as_json`. Raises SceneUnavailable for anything else."""
    try:
        fields = dict(row)
        kind = FluxSchedule if fields["family"] == "flux" else SdxlSchedule
        return DiffusionFacts(**{**fields, "schedule": kind(**fields["schedule"])})
    except (KeyError, TypeError, ValueError) as error:
        raise SceneUnavailable(f"the export's facts cannot be read ({error}): export again") from (
            error
        )


def facts_of_pipeline(
    index: Mapping[str, Any],
    network: Mapping[str, Any],
    vae: Mapping[str, Any],
    scheduler: Mapping[str, Any],
    text_length: int,
) -> DiffusionFacts:
    """Read a diffusers folder's model_index, transformer or unet, vae and scheduler files.

    Raises SceneUnavailable for a pipeline or a schedule that is not known here: it would paint,
    but not what the model was made for.
    """
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    match index.get("_class_name"):
        case "FluxPipeline":
            return DiffusionFacts(
                family="flux",
                latent_channels=int(vae["latent_channels"]),
                factor=factor,
                scale=float(vae["scaling_factor"]),
                shift=float(vae.get("shift_factor") or 0.0),
                text_length=text_length,
                guided=bool(network.get("guidance_embeds")),
                schedule=_flux_schedule(scheduler),
            )
        case "StableDiffusionXLPipeline":
            return DiffusionFacts(
                family="sdxl",
                latent_channels=int(vae["latent_channels"]),
                factor=factor,
                scale=float(vae["scaling_factor"]),
                shift=0.0,
                text_length=77,
                zeros_for_no_prompt=bool(index.get("force_zeros_for_empty_prompt", True)),
                schedule=_sdxl_schedule(scheduler),
            )
        case other:
            raise SceneUnavailable(f"{other} is not known here: Flux and SDXL are")


def _flux_schedule(row: Mapping[str, Any]) -> FluxSchedule:
    _only(row, {"_class_name": {"FlowMatchEulerDiscreteScheduler"}})
    _never(row, "shift_terminal", "invert_sigmas", *_OTHER_SIGMAS)
    _only(row, {"time_shift_type": {"exponential", None}})
    return FluxSchedule(
        by_size=bool(row.get("use_dynamic_shifting", False)),
        shift=float(row.get("shift", 1.0)),
        base_shift=float(row.get("base_shift", 0.5)),
        max_shift=float(row.get("max_shift", 1.15)),
        base_tokens=int(row.get("base_image_seq_len", 256)),
        max_tokens=int(row.get("max_image_seq_len", 4096)),
    )


def _sdxl_schedule(row: Mapping[str, Any]) -> SdxlSchedule:
    _only(
        row,
        {
            "_class_name": {"EulerDiscreteScheduler"},
            "beta_schedule": {"scaled_linear"},
            "timestep_spacing": {"leading"},
            "prediction_type": {"epsilon", None},
            "interpolation_type": {"linear", None},
            "final_sigmas_type": {"zero", None},
            "timestep_type": {"discrete", None},
        },
    )
    _never(row, "rescale_betas_zero_snr", *_OTHER_SIGMAS)
    return SdxlSchedule(
        beta_start=float(row["beta_start"]),
        beta_end=float(row["beta_end"]),
        train_steps=int(row.get("num_train_timesteps", 1000)),
        offset=int(row.get("steps_offset", 0)),
    )


_OTHER_SIGMAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")


def _only(row: Mapping[str, Any], allowed: Mapping[str, set[str | None]]) -> None:
    for key, values in allowed.items():
        if row.get(key) not in values:
            wanted = " or ".join(str(value) for value in values if value)
            raise SceneUnavailable(
                f"the model's scheduler has {key} = {row.get(key)!r}; only {wanted} is known here: "
                "use the backend diffusers"
            )


def _never(row: Mapping[str, Any], *keys: str) -> None:
    for key in keys:
        if row.get(key):
            raise SceneUnavailable(
                f"the model's scheduler has {key} set, which is not known here: use the backend "
                "diffusers"
            )
