"""A quantised checkpoint onto its device: the library's model without weights, then each tensor.

The model's weights are never made in full size: what is neither a layer in fewer bits nor plain
goes from its file straight to the device, and a layer's parts become its product as soon as they
are together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.modelopt.arithmetic import Arithmetic
from edgewatch.pipeline.engines.modelopt.layers import (
    PARTS,
    QuantisedLayer,
    quantised_layers,
)
from edgewatch.pipeline.engines.modelopt.packing import SHARING
from edgewatch.pipeline.engines.modelopt.scheme import REQUANTISE
from edgewatch.pipeline.engines.modelopt.tensors import tensors_on
from edgewatch.pipeline.engines.transformers.modelopt.inputs import Rounding, Shared, rounding
from edgewatch.pipeline.engines.transformers.modelopt.products import Fp8Product, ImitatedProduct
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

_OTHER_MODEL = "take config.json and the weights from one checkpoint"
_NAMED = 5
"""Most weights that an error names."""
_LANGUAGE = ("layers.", "embed_tokens", "norm")
_SCALES = frozenset({"weight_scale", "weight_scale_2", "input_scale", "pre_quant_scale"})
_OF_INPUTS = frozenset({"input_scale", "pre_quant_scale"})
_Parts = dict[str, "torch.Tensor"]


def load_quantised(directory: Path, arithmetic: Arithmetic, device: torch.device) -> Any:
    """Return the library's model with a checkpoint's layers as products.

    Raises EngineFailed if a weight is missing, of another model's size, or has a scale that is no
    number.
    """
    layers = quantised_layers(directory, arithmetic.scheme)
    model = empty_model(directory, device)
    _Filling(directory, arithmetic, layers, model).fill(device)
    return model.eval()


def empty_model(directory: Path, device: torch.device) -> Any:
    """Return a Qwen2_5_VLForConditionalGeneration whose large weights are on no device yet.

    Its buffers, and what it makes with a value, are on `device`.
    """
    import torch
    from torch.overrides import TorchFunctionMode
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    class EmptyOnMeta(TorchFunctionMode):  # type: ignore[misc]  # torch leaves it untyped
        """Whatever is made empty is a weight that will be read."""

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = dict(kwargs or {})
            if func is torch.empty:
                kwargs["device"] = "meta"
            return func(*args, **kwargs)

    try:
        config = Qwen2_5_VLConfig.from_pretrained(directory, local_files_only=True)
        config._attn_implementation = "sdpa"
        with torch.device(device), EmptyOnMeta():
            model = Qwen2_5_VLForConditionalGeneration(config).requires_grad_(False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineFailed(
            f"{directory / 'config.json'} describes no model that can be built: {error}",
            "download the checkpoint again",
        ) from error
    _refuse_lost_places(directory, config)
    return model


def name_in_model(stored: str) -> str:
    """Return the model's name of a stored tensor or layer.

    Checkpoints keep the names that the family began with; the library's classes nest deeper.
    """
    if stored.startswith("visual."):
        return f"model.{stored}"
    rest = stored.removeprefix("model.")
    if rest != stored and rest.startswith(_LANGUAGE):
        return f"model.language_model.{rest}"
    return stored


def _refuse_lost_places(directory: Path, config: Any) -> None:
    """Refuse a config.json whose rotary places this library does not see.

    transformers 5 writes them as "rope_parameters", which 4.57 does not read.
    """
    text = getattr(config, "text_config", config)
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    if "mrope_section" not in rope:
        import transformers

        raise EngineFailed(
            f"{directory / 'config.json'} has no mrope_section where transformers "
            f"{transformers.__version__} looks for it",
            'copy "rope_scaling" and "rope_theta" from the original config.json',
        )


class _Filling:
    """A model on its way from empty to whole."""

    def __init__(
        self,
        directory: Path,
        arithmetic: Arithmetic,
        layers: Mapping[str, QuantisedLayer],
        model: Any,
    ) -> None:
        import torch

        self._directory = directory
        self._arithmetic = arithmetic
        self._layers = layers
        self._model = model
        self._modules: dict[str, Any] = dict(model.named_modules())
        self._absent = {name for name, _ in model.named_parameters()}
        self._dtype: torch.dtype = getattr(torch, arithmetic.dtype)
        self._gathered: dict[str, _Parts] = {}
        self._sound: dict[str, torch.Tensor] = {}
        self._shared: dict[tuple[str, int], list[tuple[_Parts, Rounding]]] = {}

    def fill(self, device: torch.device) -> None:
        """Read all files once, in order. Raises EngineFailed."""
        import torch

        with torch.no_grad():
            for stored, tensor in tensors_on(self._directory, device):
                layer, _, part = stored.rpartition(".")
                if layer in self._layers and part in PARTS:
                    self._gather(self._layers[layer], part, tensor)
                else:
                    self._place(name_in_model(layer), part, tensor)
            if self._model.config.tie_word_embeddings:
                self._model.lm_head.weight = self._model.get_input_embeddings().weight
                self._absent.discard("lm_head.weight")
        self._refuse_unfilled()
        self._refuse_unsound()

    def _gather(self, layer: QuantisedLayer, part: str, tensor: torch.Tensor) -> None:
        """Keep a part of a layer; with the last one, put its product into the model."""
        import torch

        parts = self._gathered.setdefault(layer.name, {})
        parts[part] = tensor
        if len(parts) < len(layer.parts):
            return
        del self._gathered[layer.name]
        scales = [parts[name].float().flatten() for name in parts if name in _SCALES]
        least_and_most = torch.stack([end for one in scales for end in one.aminmax()])
        self._sound[layer.name] = least_and_most.isfinite().all() & (least_and_most > 0).all()
        module = self._linear(layer)
        module.forward = self._product(layer, parts)
        module.weight = module.bias = None
        filled = {f"{name_in_model(layer.name)}.{part}" for part in parts}
        self._absent -= filled

    def _product(self, layer: QuantisedLayer, parts: _Parts) -> Any:
        scheme, native = self._arithmetic.scheme, self._arithmetic.way == "native"
        bias = parts["bias"].to(self._dtype) if "bias" in parts else None
        rounds = self._rounding(layer.name, parts, native=native)
        if native:
            return Fp8Product(parts, bias, rounds)
        packed = self._arithmetic.way == "packed"
        return ImitatedProduct(scheme, parts, bias, rounds, dtype=self._dtype, packed=packed)

    def _rounding(self, name: str, parts: _Parts, *, native: bool) -> Rounding:
        """Return a layer's rounding: the one of its neighbours where they round alike."""
        import torch

        found = rounding(self._arithmetic.scheme, parts, native=native)
        parent, _, leaf = name.rpartition(".")
        group = next((index for index, one in enumerate(SHARING) if leaf in one), None)
        if group is None:
            return found
        scales = {part: one for part, one in parts.items() if part in _OF_INPUTS}
        known: list[tuple[_Parts, Rounding]] = self._shared.setdefault((parent, group), [])
        for theirs, shared in known:
            if theirs.keys() == scales.keys() and all(
                torch.equal(theirs[part], scales[part]) for part in scales
            ):
                return shared
        known.append((scales, Shared(found)))
        return known[-1][1]

    def _linear(self, layer: QuantisedLayer) -> Any:
        """Return the model's layer. Raises EngineFailed if it has none of that name and size."""
        import torch

        module = self._modules.get(name_in_model(layer.name))
        if not isinstance(module, torch.nn.Linear):
            raise EngineFailed(
                f"{self._directory} holds a quantised {layer.name}, which is no linear layer of "
                "the model that its config.json describes",
                _OTHER_MODEL,
            )
        if (module.out_features, module.in_features) != (layer.rows, layer.columns):
            raise EngineFailed(
                f"{self._directory}: {layer.name} has {layer.rows} x {layer.columns} weights, and "
                f"config.json's model {module.out_features} x {module.in_features}",
                _OTHER_MODEL,
            )
        return module

    def _place(self, module_name: str, part: str, tensor: torch.Tensor) -> None:
        """Put a plain weight into the model; what the model does not know is left out."""
        import torch

        module = self._modules.get(module_name)
        held = getattr(module, "_parameters", {}).get(part)
        if held is None:
            return
        if held.shape != tensor.shape:
            raise EngineFailed(
                f"{self._directory}: {module_name}.{part} is {tuple(tensor.shape)}, and "
                f"config.json's model has {tuple(held.shape)}",
                _OTHER_MODEL,
            )
        weight = torch.nn.Parameter(tensor.to(self._dtype), requires_grad=False)
        module._parameters[part] = weight  # type: ignore[union-attr]  # it has the parameter
        self._absent.discard(f"{module_name}.{part}")

    def _refuse_unfilled(self) -> None:
        buffers = {name for name, one in self._model.named_buffers() if one.is_meta}
        absent = sorted(self._absent | buffers)
        if absent:
            raise EngineFailed(
                f"{self._directory} lacks {len(absent)} weights of this model "
                f"({', '.join(absent[:_NAMED])}{', ...' if len(absent) > _NAMED else ''})",
                "download the checkpoint again",
            )

    def _refuse_unsound(self) -> None:
        """All scales are looked at in one go: each look by itself would wait for the device."""
        import torch

        sound = torch.stack(list(self._sound.values())).tolist()
        wrong = [name for name, fine in zip(self._sound, sound, strict=True) if not fine]
        if wrong:
            raise EngineFailed(
                f"{self._directory}: the scales of {len(wrong)} layers are no positive numbers "
                f"({', '.join(wrong[:_NAMED])}{', ...' if len(wrong) > _NAMED else ''})",
                REQUANTISE,
            )
