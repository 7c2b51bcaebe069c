"""Small forwards as CUDA graphs: one clip is then not kept waiting by Python.

A forward of one clip is some 600 kernels, and to launch them one by one takes about as long as the
GPU takes to run them in eight bits. A graph launches them all at once. It holds for tensors of the
same shapes at the same places, so inputs are copied to where it expects them; what recurs (a
camera's clips are all alike) is worth one. Batches of several clips hide the launching behind the
GPU's work, and need none.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    import torch

log = structlog.get_logger(__name__)

WORTH_TIMES = 3
"""A forward that was done so often before is done as a graph from then on."""
MOST_GRAPHS = 8
_MOST_COUNTED = 1_000

Tensors = Sequence["torch.Tensor"]


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    graph: torch.cuda.CUDAGraph
    inputs: Tensors
    outputs: Tensors
    holds: tuple[object, ...]
    """What the graph reads besides: it must not be freed before."""


class Replays:
    """Graphs of forwards by what they are done with. One thread and one stream only."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._times: Counter[Hashable] = Counter()
        self._graphs: OrderedDict[Hashable, _Graph] = OrderedDict()
        self._pool: object | None = None
        self.on = device.type == "cuda"
        """Whether graphs are made; off on a CPU, and after one could not be made."""

    def run(
        self,
        key: Hashable,
        inputs: Tensors,
        forward: Callable[[Tensors], Tensors],
        *,
        holds: tuple[object, ...] = (),
    ) -> Tensors:
        """Return what `forward` makes of inputs, good until the next call with any key.

        `key`: all that the forward rests on but the inputs' values; `holds`: what it reads besides,
        told apart by identity. `forward` may allocate, and must not wait for the device nor copy
        from the host.
        """
        if not self.on:
            return forward(inputs)
        key = (key, *map(id, holds))
        graph = self._graphs.get(key)
        if graph is None:
            if len(self._times) >= _MOST_COUNTED:
                self._times.clear()
            self._times[key] += 1
            if self._times[key] <= WORTH_TIMES:
                return forward(inputs)
            graph = self._capture(key, inputs, forward, holds)
            if graph is None:
                return forward(inputs)
        self._graphs.move_to_end(key)
        for place, given in zip(graph.inputs, inputs, strict=True):
            place.copy_(given)
        graph.graph.replay()
        return graph.outputs

    def clear(self) -> None:
        """Free all graphs and their memory."""
        self._graphs.clear()
        self._times.clear()
        self._pool = None

    def _capture(
        self,
        key: Hashable,
        inputs: Tensors,
        forward: Callable[[Tensors], Tensors],
        holds: tuple[object, ...],
    ) -> _Graph | None:
        """Make a graph; None if it cannot be made: then none is tried again."""
        import torch

        while len(self._graphs) >= MOST_GRAPHS:
            self._graphs.popitem(last=False)
        places = [one.clone() for one in inputs]
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads wait for events and allocate meanwhile: only this one is held to it.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                outputs = forward(places)
        except torch.OutOfMemoryError:
            self.clear()
            self.on = False
            log.warning("no memory for CUDA graphs: single clips are a little slower")
            return None
        except RuntimeError as error:
            self.clear()
            self.on = False
            log.warning("no CUDA graph could be made: single clips are slower", error=str(error))
            return None
        self._pool = graph.pool()
        self._graphs[key] = _Graph(graph, places, outputs, holds)
        return self._graphs[key]
