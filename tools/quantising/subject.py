"""The subject: a model that is loaded to be quantised, asked with its own words about clips."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, read_checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.transformers.network import Network, load_network
from edgewatch.pipeline.engines.transformers.scoring import Scorer
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.quantising.clips import KeptClip, batches

if TYPE_CHECKING:
    import torch

MODEL_TYPE = "qwen2_5_vl"


@dataclass(slots=True, eq=False)
class Subject:
    """A loaded original; of no use once its weights were exported."""

    checkpoint: Checkpoint
    network: Network
    scripts: ScriptReader
    form: Form
    batch: int

    @property
    def model(self) -> Any:
        """The library's own model."""
        return self.network.model

    def scores(self, clips: Sequence[KeptClip], advance: Callable[[int], None]) -> list[float]:
        """Score clips; NaN for an answer that was none. `advance` is told how many were done."""
        scorer = self._scorer()
        found: list[float] = []
        for part in batches(clips, self.batch):
            found += [answer.score for answer in scorer.score(part)]
            advance(len(part))
        return found

    def round_weights(self) -> None:
        """Round the weights to bfloat16, which they are quantised from; a GPU has them so.

        A CPU computes in float32 all the same, several times as fast.
        """
        import torch

        if self.network.dtype != torch.bfloat16:
            self.model.to(torch.bfloat16).to(self.network.dtype)

    def halve_precision(self) -> None:
        """Bring the model to bfloat16, which what is not quantised is kept in."""
        import torch

        self.model.to(torch.bfloat16)

    def read_text(self, tokens: Sequence[int]) -> None:
        """Show a text to the language model, without asking anything."""
        import torch

        with torch.inference_mode():
            row = torch.tensor([list(tokens)], device=self.network.device)
            self.model.model(input_ids=row, use_cache=False)

    def _scorer(self) -> Scorer:
        return Scorer(
            self.network,
            self.scripts,
            answer_tokens(self.scripts.encode, self.form),
            self.form,
            rules=self.checkpoint.pixels,
            tokens_per_second=self.checkpoint.tokens_per_second,
            video_token=self.checkpoint.video_token,
            stop_tokens=self.checkpoint.stop_tokens,
            most_clips=self.batch,
        )


def refuse_unfit(original: Path) -> None:
    """Let a checkpoint pass that can be quantised. Raises EngineFailed with the cure."""
    try:
        config = json.loads((original / "config.json").read_bytes())
        kind = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineFailed(
            f"{original} is no checkpoint in Hugging Face's layout (config.json: {error})",
            "name the directory of one, as Cosmos-Reason1-7B",
        ) from error
    if kind != MODEL_TYPE:
        raise EngineFailed(
            f"{original} is a model of type {kind!r}, and edgewatch quantises {MODEL_TYPE!r} only",
            "name Cosmos-Reason1-7B, Qwen2.5-VL or a sibling",
        )
    checkpoint = read_checkpoint(original)
    if checkpoint.quantisation is not None:
        raise EngineFailed(
            f"{original} is quantised already ({checkpoint.quantisation})",
            "name the original, in bfloat16",
        )


def load_subject(original: Path, device: torch.device, form: Form, batch: int) -> Subject:
    """Load a checkpoint to be quantised: bfloat16 on a GPU, float32 on a CPU. Raises EngineFailed.

    Answers that are no single tokens of the model are refused here, before hours of work.
    """
    checkpoint = read_checkpoint(original)
    scripts = ScriptReader(original, checkpoint.video_token)
    answer_tokens(scripts.encode, form)
    return Subject(checkpoint, load_network(checkpoint, device), scripts, form, batch)
