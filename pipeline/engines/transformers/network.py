"""The network itself, by Hugging Face's classes: loaded, and asked in the steps of one forward.

Its parts are called one after the other (vision, language, head), so that our own patches, places
and rows reach them as they are, nothing is computed for a position that is not read, and a
measurement can stand between. The numbers are those of the library's own `forward`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.modelopt.arithmetic import Arithmetic
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, PixelRules
from edgewatch.pipeline.engines.qwen.pixels import Patcher
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.engines.transformers.modelopt.loading import load_quantised
from edgewatch.pipeline.engines.transformers.rows import Rows
from edgewatch.pipeline.engines.transformers.windows import Windows
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

_NAMED = 5
"""Most weights that an error names."""


@dataclass(slots=True, eq=False)
class Reading:
    """A prompt that was read, and what is needed to write on: keys, values, the next place."""

    scores: torch.Tensor
    """Logits of the next token, shape (vocabulary,)."""
    memory: Any
    """The library's cache of keys and values."""
    next_place: int


class Network:
    """A loaded Qwen2.5-VL. Belongs to one thread; every method runs without gradients."""

    def __init__(self, model: Any, rules: PixelRules) -> None:
        """`model`: a Qwen2_5_VLForConditionalGeneration on its device."""
        self.model = model.eval()
        """The library's own model, for measurements beside it."""
        self._whole = model.model
        self.windows = Windows(self._whole.visual)
        weight = self._whole.visual.patch_embed.proj.weight
        self.device: torch.device = weight.device
        self.dtype: torch.dtype = self._whole.get_input_embeddings().weight.dtype
        self.patcher = Patcher(rules, self.device, weight.dtype)
        self._merge = rules.merge

    def see(self, patches: torch.Tensor, grid: Grid, clips: int) -> torch.Tensor:
        """Return the videos' features, (clips, tokens of a clip, width of the language model)."""
        import torch

        shape = (grid.pairs, grid.rows * self._merge, grid.columns * self._merge)
        grids = torch.tensor([shape] * clips, device=self.device)
        with torch.inference_mode():
            seen = self._whole.visual(patches, grid_thw=grids)
            # 4.57 gives the merged features themselves, 5.x an object that holds them.
            features = getattr(seen, "pooler_output", seen)
            return features.view(clips, grid.tokens, -1).to(self.dtype)

    def read(self, rows: Rows, features: torch.Tensor) -> torch.Tensor:
        """Read prompts with their videos; return each row's state at its end, (clips, width)."""
        import torch

        with torch.inference_mode():
            states = self._language(rows, features, use_cache=False).last_hidden_state
            ends = torch.from_numpy(rows.ends).to(self.device)
            return states[torch.arange(len(rows.ends), device=self.device), ends]

    def log_probabilities(
        self, states: torch.Tensor, tokens: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Return the natural logarithm of some tokens' probability to come next, (clips, tokens).

        Taken over the whole vocabulary, in float32.
        """
        import torch

        with torch.inference_mode():
            logits = self.model.lm_head(states).float()
            chosen = logits.log_softmax(-1)[:, torch.tensor(tokens, device=self.device)]
            figures: npt.NDArray[np.float64] = chosen.cpu().numpy().astype(np.float64)
            return figures

    def begin(self, rows: Rows, features: torch.Tensor) -> Reading:
        """Read one prompt with its video, to write after it."""
        import torch

        with torch.inference_mode():
            out = self._language(rows, features, use_cache=True)
            scores = self.model.lm_head(out.last_hidden_state[0, -1])
        return Reading(scores, out.past_key_values, int(rows.places.max()) + 1)

    def write(self, reading: Reading) -> int:
        """Take the most probable next token, read it, and return it."""
        import torch

        with torch.inference_mode():
            token = reading.scores.argmax()
            places = torch.full((3, 1, 1), reading.next_place, device=self.device)
            out = self._whole.language_model(
                inputs_embeds=self._whole.get_input_embeddings()(token.view(1, 1)),
                position_ids=places,
                past_key_values=reading.memory,
                use_cache=True,
            )
            reading.scores = self.model.lm_head(out.last_hidden_state[0, -1])
            reading.memory = out.past_key_values
            reading.next_place += 1
            return int(token)

    def _language(self, rows: Rows, features: torch.Tensor, *, use_cache: bool) -> Any:
        import torch

        tokens = torch.from_numpy(rows.tokens).to(self.device)
        embedded = self._whole.get_input_embeddings()(tokens)
        for index, start in enumerate(rows.video_starts):
            embedded[index, start : start + rows.grid.tokens] = features[index]
        return self._whole.language_model(
            inputs_embeds=embedded,
            position_ids=torch.from_numpy(rows.places).to(self.device),
            use_cache=use_cache,
        )


def load_network(
    checkpoint: Checkpoint,
    device: torch.device,
    *,
    quantize: Literal["none", "int8"] = "none",
    arithmetic: Arithmetic | None = None,
) -> Network:
    """Load a checkpoint onto a device: float32 on a CPU, bfloat16 on a GPU.

    `arithmetic`: how layers that ModelOpt quantised are computed; None: there are none. Raises
    EngineFailed if a weight is missing or the library cannot read it. Nothing is fetched.
    """
    if arithmetic is not None:
        return Network(load_quantised(checkpoint.directory, arithmetic, device), checkpoint.pixels)
    import torch
    from transformers import Qwen2_5_VLForConditionalGeneration
    from transformers.utils import logging as library_logging

    library_logging.disable_progress_bar()  # it would draw over a log
    options: dict[str, Any] = {
        "dtype": torch.float32 if device.type == "cpu" else torch.bfloat16,
        "attn_implementation": "sdpa",
        "use_safetensors": True,
        "local_files_only": True,
        "output_loading_info": True,
    }
    if _has("accelerate") or quantize == "int8":
        options["device_map"] = {"": str(device)}  # straight there, not by way of host memory
    if quantize == "int8":
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True)
    try:
        model, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            checkpoint.directory, **options
        )
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise EngineFailed(f"{checkpoint.directory} could not be loaded: {error}") from error
    # A head that may be tied is not reported by 4.57, but left without data.
    empty = {name for name, weight in model.named_parameters() if weight.is_meta}
    absent = sorted(empty | set(report["missing_keys"]))
    if absent:
        raise EngineFailed(
            f"{checkpoint.directory} lacks {len(absent)} weights of this model "
            f"({', '.join(absent[:_NAMED])}{', ...' if len(absent) > _NAMED else ''})",
            "download the checkpoint again",
        )
    return Network(model if "device_map" in options else model.to(device), checkpoint.pixels)


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None
