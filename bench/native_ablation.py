"""Part of `bench.native`: what each optimisation gives, by leaving one out at a time.

All at batch 8, in loops as busy as those of `speed`. What is left out is replaced by what one would
have without it: plain PyTorch for a kernel, the next best attention, a layer computed whole.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.native_clock import IN_FLIGHT, steady
from bench.native_run import VARIANTS, Bench, Variant
from bench.native_subjects import Precision, Weights, random_source, weights_of
from edgewatch.pipeline.engines.native import scoring
from edgewatch.pipeline.engines.native.arithmetic import Product
from edgewatch.pipeline.engines.native.attention import attend
from edgewatch.pipeline.engines.native.language import Language
from edgewatch.pipeline.engines.native.network import Network
from edgewatch.pipeline.engines.native.operations import operations_for
from edgewatch.pipeline.engines.native.plain import PlainOperations

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.native.arithmetic import Operations
    from edgewatch.pipeline.engines.native.weights.assembly import Source

BATCH = 8
SECONDS, WARM_SECONDS = 1.5, 0.4
BOTH: tuple[Precision, Precision] = ("bf16", "fp8")
PASSES = ("norm", "gate", "gated", "rounded", "patches", "attend_windows", "attend_pairs", "turn")


@dataclass(frozen=True, slots=True)
class Case:
    """One thing left out."""

    name: str
    network: Callable[[], Network]
    variant: Variant = VARIANTS[0]
    attention: tuple[str, ...] = ()
    """Backends to choose from; none: the engine's own order."""
    in_flight: int = IN_FLIGHT
    words_tokens: int = 0
    """More than 0: keys and values are held, so that words could go on from them."""


def ablation(bench: Bench) -> None:
    """Time a batch with all on, and with one thing left out at a time."""
    for precision in bench.precisions:
        whole: float | None = None
        for case in _cases(bench.weights(precision), precision):
            if bench.enough(6, f"ablation {precision} {case.name}"):
                found = _timed(bench, f"{precision} {case.name}", case, whole)
                whole = found if whole is None else whole
    for name, source in _sources(bench):
        if bench.enough(15, f"ablation {name}"):
            bench.let_go()
            made = weights_of(bench.shape, source)
            _timed(bench, name, Case(name, made.network), None)
            del made
            bench.let_go()


def _timed(bench: Bench, name: str, case: Case, whole: float | None) -> float | None:
    """Time one case and tell it; return its ms a clip, None if it does not run."""
    try:
        with _attention(case.attention):
            found = steady(
                bench.scorer(case.network(), case.variant, words_tokens=case.words_tokens),
                bench.batches(BATCH, case.variant),
                seconds=min(SECONDS, bench.options.seconds),
                warm_seconds=min(WARM_SECONDS, bench.options.seconds),
                in_flight=case.in_flight,
            )
    except Exception:  # noqa: BLE001 - one case that does not run must not cost the others
        bench.say(f"ablation {name} FAILED\n{traceback.format_exc(limit=-4)}")
        return None
    bench.figures[f"ablation_{name.replace(' ', '_')}_ms"] = found.ms_per_clip
    lost = "" if whole is None else f" {found.ms_per_clip - whole:+6.2f}"
    bench.say(f"ablation {name:48s} {found.ms_per_clip:6.2f} ms/clip{lost}")
    return found.ms_per_clip


def _cases(weights: Weights, precision: str) -> Iterator[Case]:
    language = weights.language.embeddings
    device, dtype = language.device, language.dtype
    fast = operations_for(device, dtype)
    yield Case("all", weights.network)
    yield Case("without kernels", partial(weights.network, PlainOperations(dtype)))
    for one in PASSES:
        if one == "rounded" and precision == "bf16":
            continue  # nothing is rounded
        without = _without(fast, dtype, one)
        yield Case(f"without kernel {one}", partial(weights.network, without))
    yield Case("without last layer saving", partial(_nothing_saved, weights))
    yield Case("without cudnn attention", weights.network, attention=("FLASH_ATTENTION", "MATH"))
    yield Case("without two in flight", weights.network, in_flight=1)
    yield Case("with readings held for words", weights.network, words_tokens=96)


def _sources(bench: Bench) -> Iterator[tuple[str, Source]]:
    """Yield networks whose weights themselves are others."""
    plain, fp8 = (random_source(bench.shape, bench.device, one) for one in BOTH)
    if "bf16" in bench.precisions:
        yield "bf16 without vision MLP padding", _Unpadded(plain)
    if "fp8" in bench.precisions:
        yield "fp8 without vision MLP padding", _Unpadded(fp8)
        yield "fp8 in the language model alone", _Mixed(vision=plain, language=fp8)


def _without(fast: Operations, dtype: torch.dtype, name: str) -> Operations:
    """Return the passes as they are, but one of them as without its kernel."""
    if isinstance(fast, PlainOperations):
        return fast
    from edgewatch.pipeline.engines.native.kernels.operations import KernelOperations

    return KernelOperations(dtype, plain=(name,))


class _Unpadded:
    """A source that widens nothing."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def plain(self, name: str) -> torch.Tensor:
        """See `Source`."""
        return self._source.plain(name)

    def product(self, layers: Sequence[str], **how: Any) -> Product:
        """See `Source`."""
        return self._source.product(layers, **(how | {"outputs": 0, "inputs": 0}))


class _Mixed:
    """A source of the tower from one source, and of all else from another."""

    def __init__(self, *, vision: Source, language: Source) -> None:
        self._vision = vision
        self._language = language

    def __getattr__(self, name: str) -> Any:
        return getattr(self._language, name)

    def plain(self, name: str) -> torch.Tensor:
        """See `Source`."""
        return self._of(name).plain(name)

    def product(self, layers: Sequence[str], **how: Any) -> Product:
        """See `Source`."""
        return self._of(layers[0]).product(layers, **how)

    def _of(self, name: str) -> Source:
        return self._vision if name.startswith("visual.") else self._language


def _nothing_saved(weights: Weights) -> Network:
    """Return a network that computes its last layer for every token too."""
    network = weights.network()
    network.language = _WholeLast(
        weights.shape.sizes.language, weights.language, network.operations, network.replays
    )
    return network


class _WholeLast(Language):
    """Does for all tokens what `Language` does for each clip's last one alone."""

    def _finish(self, packed: Any, total: torch.Tensor, *others: Any) -> torch.Tensor:
        import torch

        sizes, operations, layer = self._sizes, self._operations, self._weights.layers[-1]
        rows = len(packed.tokens)
        whole = torch.zeros((rows, sizes.width), dtype=total.dtype, device=total.device)
        inputs = operations.norm(
            whole, layer.first_norm, sizes.eps, rounding=self._last_queries.rounding
        )
        queries = self._last_queries(inputs).view(rows, sizes.heads, sizes.head)
        keys, values = others[-2:]
        if packed.slot_count == rows:
            seen = attend(packed.groups, queries, keys, values)
        else:
            seen = queries.flatten(1)
        add = layer.out.add_to(whole, operations.rounded(seen, layer.out.rounding))
        inputs = operations.norm(
            whole, layer.second_norm, sizes.eps, add=add, rounding=layer.gate_up.rounding
        )
        gated = operations.gated(layer.gate_up, inputs, layer.down.rounding)
        layer.down.add_to(whole, gated)
        return super()._finish(packed, total, *others)


@contextmanager
def _attention(backends: tuple[str, ...]) -> Iterator[None]:
    """Let the engine choose among some of torch's ways to attend alone."""
    if not backends:
        yield
        return

    @contextmanager
    def chosen(device: torch.device) -> Iterator[None]:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with sdpa_kernel([getattr(SDPBackend, name) for name in backends], set_priority=True):
            yield

    usual = vars(scoring)["fast_attention"]
    vars(scoring)["fast_attention"] = chosen
    try:
        yield
    finally:
        vars(scoring)["fast_attention"] = usual
