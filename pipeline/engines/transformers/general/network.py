"""Any of the library's models that see: loaded, and asked by one forward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.device_memory import is_out_of_memory
from edgewatch.pipeline.engines.families.family import Family
from edgewatch.pipeline.engines.transformers.general.adapters import add_sight
from edgewatch.pipeline.engines.transformers.general.files import unusable
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

_NAMED = 5
"""Most weights that an error names."""
_NOT_EVERYWHERE = frozenset({"mm_token_type_ids", "token_type_ids", "attention_mask"})
"""Inputs that some versions of a class do not take, and then do not need."""


class GeneralNetwork:
    """A loaded model. Belongs to one thread; every method runs without gradients."""

    def __init__(self, model: Any) -> None:
        """`model`: on its device."""
        self.model = model.eval()
        """The library's own model, for measurements beside it."""
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        self._takes = frozenset(inspect.signature(model.forward).parameters)

    def log_probabilities(
        self, inputs: Mapping[str, torch.Tensor], tokens: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Return the natural logarithm of some tokens' probability to come next, (tokens,).

        Taken over the whole vocabulary in float32, at the last position that is read.
        """
        import torch

        with torch.inference_mode():
            out = self.model(**self._placed(inputs), **self._last_only(), use_cache=False)
            logs = out.logits[0, -1].float().log_softmax(-1)
            chosen = logs[torch.tensor(tokens, device=logs.device)]
            figures: npt.NDArray[np.float64] = chosen.cpu().numpy().astype(np.float64)
            return figures

    def write(
        self, inputs: Mapping[str, torch.Tensor], most_tokens: int, give_way: Callable[[], None]
    ) -> list[int]:
        """Return the most probable tokens that follow, up to the model's own end of text.

        `give_way` is called before each token and may raise to end it.
        """
        import torch

        before = inputs.get("decoder_input_ids", inputs.get("input_ids"))
        with torch.inference_mode():
            written = self.model.generate(
                **self._placed(inputs),
                max_new_tokens=most_tokens,
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=self._filling(),
                stopping_criteria=self._between(give_way),
            )[0].tolist()
        start = [] if before is None else before[0].tolist()
        tokens: list[int] = written[len(start) :] if written[: len(start)] == start else written
        return tokens

    def _placed(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Move inputs to the device, those with a point to the model's own type."""
        return {
            name: value.to(self.device, self.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
            if name in self._takes or name not in _NOT_EVERYWHERE
        }

    def _last_only(self) -> dict[str, int]:
        return {"logits_to_keep": 1} if "logits_to_keep" in self._takes else {}

    def _between(self, give_way: Callable[[], None]) -> Any:
        """Return what the library asks after each token whether to end."""
        import torch
        from transformers import StoppingCriteriaList

        def go_on(tokens: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            give_way()
            return torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)

        return StoppingCriteriaList([go_on])

    def _filling(self) -> int:
        """Return a token to fill up with; with one text at a time there is nothing to fill."""
        settings = self.model.generation_config
        for found in (settings.pad_token_id, settings.eos_token_id):
            if found is not None:
                return int(found[0] if isinstance(found, list) else found)
        return 0


def load_general(
    directory: Path,
    family: Family,
    device: torch.device,
    *,
    quantize: Literal["none", "int8"] = "none",
) -> GeneralNetwork:
    """Load a checkpoint onto a device: float32 on a CPU, bfloat16 on a GPU.

    Raises EngineFailed if a weight is missing or the library cannot read it, and torch's or
    Python's own error if memory runs out. Nothing is fetched.
    """
    import torch
    import transformers
    from transformers.utils import logging as library_logging

    library_logging.disable_progress_bar()  # it would draw over a log
    kind = getattr(transformers, family.transformers_class, None)
    if kind is None:
        raise EngineFailed(
            f"transformers {transformers.__version__} has no {family.transformers_class}",
            "pip install -U transformers",
        )
    options: dict[str, Any] = {
        "dtype": torch.float32 if device.type == "cpu" else torch.bfloat16,
        "use_safetensors": True,
        "local_files_only": True,
        "output_loading_info": True,
    }
    if _has("accelerate") or quantize == "int8":
        options["device_map"] = {"": str(device)}  # straight there, not by way of host memory
    if quantize == "int8":
        options["quantization_config"] = transformers.BitsAndBytesConfig(load_in_8bit=True)
    try:
        model, report = kind.from_pretrained(directory, **options)
    except Exception as error:  # the library raises almost anything over files that do not fit
        if is_out_of_memory(error):
            raise
        raise unusable(directory, "model", error) from error
    empty = {name for name, weight in model.named_parameters() if weight.is_meta}
    absent = sorted(empty | set(report["missing_keys"]))
    if absent:
        raise EngineFailed(
            f"{directory} lacks {len(absent)} weights of this model "
            f"({', '.join(absent[:_NAMED])}{', ...' if len(absent) > _NAMED else ''})",
            "download the checkpoint again",
        )
    add_sight(model, directory)
    return GeneralNetwork(model if "device_map" in options else model.to(device))


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None
