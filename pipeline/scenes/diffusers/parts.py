"""The parts of a Flux or SDXL pipeline: where they come from, one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.diffusers.libraries import dtype_keyword
from edgewatch.pipeline.scenes.diffusers.precision import Numbers, numbers_of, place, torch_dtype
from edgewatch.pipeline.scenes.diffusers.weights import (
    fingerprint,
    forget_pages,
    parameters_in,
    variant_of,
    weight_files,
)
from edgewatch.pipeline.scenes.memory_shapes import weight_bytes
from edgewatch.pipeline.scenes.models.catalogue import Component, Precision, SceneModel

Family = Literal["flux", "sdxl"]

CLASSES: Mapping[Family, Mapping[str, tuple[str, str]]] = {
    "flux": {
        "tokenizer": ("transformers", "CLIPTokenizer"),
        "tokenizer_2": ("transformers", "T5TokenizerFast"),
        "text_encoder": ("transformers", "CLIPTextModel"),
        "text_encoder_2": ("transformers", "T5EncoderModel"),
        "transformer": ("diffusers", "FluxTransformer2DModel"),
        "vae": ("diffusers", "AutoencoderKL"),
        "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler"),
    },
    "sdxl": {
        "tokenizer": ("transformers", "CLIPTokenizer"),
        "tokenizer_2": ("transformers", "CLIPTokenizer"),
        "text_encoder": ("transformers", "CLIPTextModel"),
        "text_encoder_2": ("transformers", "CLIPTextModelWithProjection"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("diffusers", "AutoencoderKL"),
        "scheduler": ("diffusers", "EulerDiscreteScheduler"),
    },
}
"""Our own table: model_index.json could name any class of any installed package."""

PIPELINES: Mapping[Family, str] = {"flux": "FluxPipeline", "sdxl": "StableDiffusionXLPipeline"}


def family_of(model: SceneModel) -> Family:
    """Return of which kind a model of the catalogue is."""
    return "sdxl" if any(one.name == "unet" for one in model.components) else "flux"


@dataclass(frozen=True, slots=True)
class PartFacts:
    """What is known of a model before any of its parts is loaded."""

    weights: Mapping[str, int] | None
    """Bytes a network, counted; None: the catalogue's."""
    factor: int
    """Pixels a latent, each way."""
    latent_channels: int
    fingerprint: str
    """Of the text encoders' weights, for stored embeddings."""


class PartSource(Protocol):
    """Gives a pipeline's parts: from a folder, or drawn at random by the bench."""

    def facts(self) -> PartFacts:
        """Return what is known beforehand. Raises SceneUnavailable, naming what is missing."""

    def load(self, name: str) -> Any:
        """Return one part: a network on its device, in its precision and in eval mode, a
        tokenizer or the scheduler. Raises SceneUnavailable.
        """

    def forget(self) -> None:
        """Let go of whatever was kept for loading."""


class FolderParts:
    """Parts out of a folder in diffusers' layout; nothing is asked of any network."""

    def __init__(self, folder: Path, model: SceneModel, precision: Precision, device: Any) -> None:
        self._folder, self._model = folder, model
        self._precision, self._device = precision, device
        self._family = family_of(model)

    def facts(self) -> PartFacts:
        """Read the networks' headers and the VAE's configuration."""
        networks = {one.name: weight_files(self._folder / one.name) for one in self._networks}
        weights = {}
        for one in self._networks:
            counted = parameters_in(networks[one.name])
            full = weight_bytes(self._model, one, self._precision)
            # In the catalogue's proportion: FP8 keeps some layers at 16 bits.
            weights[one.name] = round(counted * full / one.parameters)
        vae = self._configuration("vae")
        texts = [file for name, files in networks.items() if "text" in name for file in files]
        return PartFacts(
            weights,
            2 ** (len(vae["block_out_channels"]) - 1),
            int(vae["latent_channels"]),
            fingerprint(texts),
        )

    def load(self, name: str) -> Any:
        """Read one part."""
        folder = self._folder / name
        kind = part_class(self._family, name)
        more: dict[str, Any] = {"local_files_only": True}
        component = next((one for one in self._networks if one.name == name), None)
        numbers = None
        if component is not None:
            files = weight_files(folder)
            numbers = numbers_of(component, self._precision)
            more |= {"use_safetensors": True, "variant": variant_of(files)}
            more |= self._precision_arguments(kind, numbers)
        try:
            part = kind.from_pretrained(str(folder), **more)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            said = str(error).strip().splitlines()
            raise SceneUnavailable(
                f"{name} cannot be read in {folder} ({said[0] if said else type(error).__name__}): "
                "fetch the model again"
            ) from error
        return part if numbers is None else place(part, numbers, self._device)

    def forget(self) -> None:
        """Drop the page cache's copy of the weights."""
        for one in self._networks:
            forget_pages((self._folder / one.name).glob("*.safetensors"))

    @property
    def _networks(self) -> tuple[Component, ...]:
        return self._model.components

    def _precision_arguments(self, kind: Any, numbers: Numbers) -> dict[str, Any]:
        of_diffusers = kind.__module__.startswith("diffusers")
        keyword = dtype_keyword() if of_diffusers else "dtype"
        arguments: dict[str, Any] = {keyword: torch_dtype(numbers)}
        if numbers.storage == "nf4":
            from diffusers import BitsAndBytesConfig

            arguments["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_compute_dtype=torch_dtype(numbers),
            )
            arguments["device_map"] = {"": str(self._device)}
        return arguments

    def _configuration(self, name: str) -> dict[str, Any]:
        file = self._folder / name / "config.json"
        try:
            table = json.loads(file.read_bytes())
            if not isinstance(table["block_out_channels"], list) or not table["latent_channels"]:
                raise KeyError(name)
        except OSError as error:
            raise SceneUnavailable(
                f"{file} cannot be read ({error.strerror}): edgewatch scenes fetch the model first"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise SceneUnavailable(f"{file} is damaged: fetch the model again") from error
        return dict(table)


def part_class(family: Family, name: str) -> Any:
    """Return the class of a part."""
    import diffusers
    import transformers

    library, kind = CLASSES[family][name]
    return getattr({"diffusers": diffusers, "transformers": transformers}[library], kind)
