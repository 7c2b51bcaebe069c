"""Drift: how far weights that were rounded at load move the scores, on a few clips.

The plain answers come from the same files and the same passes, with weights as they are stored:
each product's weight is read when it is needed and let go of again, so that it takes one more
reading of the files, and no more memory than the largest layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.answers import AnswerTokens
from edgewatch.pipeline.engines.native.accuracy.comparison import Apart
from edgewatch.pipeline.engines.native.arithmetic import PLAIN, Inputs, Product
from edgewatch.pipeline.engines.native.network import PLAIN as AS_STORED
from edgewatch.pipeline.engines.native.network import Network
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.native.sizes import read_sizes
from edgewatch.pipeline.engines.native.weights.assembly import Source, assemble
from edgewatch.pipeline.engines.native.weights.formats import read_format
from edgewatch.pipeline.engines.native.weights.quantised import source_of
from edgewatch.pipeline.engines.native.weights.stored import StoredWeights
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

DRIFT_CLIPS = 6
"""Clips that drift is measured on where no more are asked for."""


class StreamedProduct:
    """A linear layer whose weight is read for each call; see `Product`."""

    rounding = PLAIN
    held_bytes = 0

    def __init__(self, read: Callable[[], Product]) -> None:
        self._read = read

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Return (rows, outputs)."""
        return self._read()(inputs)

    def add_to(self, total: torch.Tensor, inputs: Inputs) -> torch.Tensor | None:
        """See `Product`."""
        return self._read().add_to(total, inputs)

    def split(self, outputs: int) -> tuple[Product, Product]:
        """See `Product`."""
        return (
            StreamedProduct(lambda: self._read().split(outputs)[0]),
            StreamedProduct(lambda: self._read().split(outputs)[1]),
        )


@dataclass(frozen=True, slots=True)
class StreamedSource:
    """A source that keeps no weight of a product; see `Source`."""

    source: Source

    def plain(self, name: str) -> torch.Tensor:
        """See `Source`."""
        return self.source.plain(name)

    def product(
        self, layers: Sequence[str], *, bias: bool, outputs: int = 0, inputs: int = 0
    ) -> Product:
        """See `Source`."""
        return StreamedProduct(
            lambda: self.source.product(layers, bias=bias, outputs=outputs, inputs=inputs)
        )


@contextmanager
def plain_scorer(
    network: Network,
    checkpoint: Checkpoint,
    scripts: ScriptReader,
    answers: AnswerTokens,
    form: Form,
) -> Iterator[Scorer]:
    """Open a scorer of the same checkpoint in plain products, on the device of `network`."""
    import torch

    sizes, found = read_sizes(checkpoint.directory), read_format(checkpoint.directory)
    with StoredWeights(checkpoint.directory, network.device) as stored:
        with torch.inference_mode():
            plain = source_of(stored, stored.entries, network.dtype, found, AS_STORED)
            vision, language = assemble(sizes, StreamedSource(plain))
            streamed = Network(sizes, vision, language, checkpoint.pixels, network.operations)
            streamed.replays.on = False  # a graph could not read the files again
        yield Scorer(streamed, checkpoint, scripts, answers, form)


def refuse_drift(found: Apart, most_drift: float) -> None:
    """Let weights pass that move scores no further than `most_drift` on average.

    A threshold that is as likely to stand anywhere falls between a clip's two scores with just the
    probability of their distance: the mean is the share of clips that change sides. Raises
    EngineFailed with the figures and the cure.
    """
    if not found.mean_score <= most_drift:  # so is what is no number
        raise EngineFailed(
            f"weights rounded at load move {found}; {most_drift:g} on average is the most "
            "([engine] most_drift)",
            'set [engine] precision = "bf16", take a checkpoint that was calibrated (edgewatch '
            "quantize), or raise most_drift after edgewatch evaluate on recordings of your own",
        )
