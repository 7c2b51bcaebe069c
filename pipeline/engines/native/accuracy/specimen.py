"""A tiny model whose weights and clips are formulas, so that its answers can be known beforehand.

Every number is a small whole one times a power of two, made by integer arithmetic: the same to
the last bit on every machine and with every library, in float32 and in bfloat16. Heads are as wide
as in the 7B, so that the same kernels run. It knows nothing.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.native.arithmetic import E4M3_MAX, Product, Rounding
from edgewatch.pipeline.engines.native.packing import Passage
from edgewatch.pipeline.engines.native.products import Fp8Product, PlainProduct
from edgewatch.pipeline.engines.native.sizes import LanguageSizes, Sizes, VisionSizes
from edgewatch.pipeline.engines.native.weights.assembly import expected_shapes
from edgewatch.pipeline.engines.native.weights.source import NEVER_ROUNDED, fp8_of, widened
from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.engines.qwen.script import Script

if TYPE_CHECKING:
    import torch

Kind = Literal["none", "rows", "fixed"]
"""How products want their inputs; see `Rounding`."""

SIZES = Sizes(
    VisionSizes(
        layers=2,
        width=160,
        heads=2,
        mlp=212,
        patch=14,
        merge=2,
        temporal_patch=2,
        window=4,
        full_layers=frozenset({1}),
        out_width=512,
    ),
    LanguageSizes(
        layers=2,
        width=512,
        heads=4,
        kv_heads=2,
        head=128,
        mlp=384,
        vocabulary=64,
        eps=1e-6,
        theta=1e6,
        sections=(16, 24, 24),
        tied=False,
    ),
)
"""The tower's MLP is no multiple of 16, as in the 7B: it must be widened."""
RULES = PixelRules((0.5, 0.45, 0.4), (0.25, 0.26, 0.28), 1 / 255)
TOKENS_PER_SECOND = 2.0
FIXED_SCALE = 2.0**-4
"""Of inputs under one fixed scale: E4M3 then reaches to 28, which none of them does."""
_SPREAD = 73.3
"""Standard deviation of the odd numbers from -127 to 127."""
_DOUBLED = ("attn.qkv", "q_proj", "o_proj")
"""So that tokens look at few others each, and what they see there counts: else an error in
attention or places would hide behind what rounding changes."""


@dataclass(frozen=True, slots=True, eq=False)
class SpecimenClip:
    """A clip and what is read with it."""

    frames: npt.NDArray[np.uint8]
    """(frames, height, width, 3)."""
    passage: Passage


@cache
def weight(name: str) -> npt.NDArray[np.float32]:
    """Return a weight by its canonical name, in the shape of a checkpoint."""
    shape = expected_shapes(SIZES)[name]
    odd = 2 * _numbers(name, math.prod(shape), 128).astype(np.int64).reshape(shape) - 127
    if name.endswith("bias"):
        return (odd * 2.0**-10).astype(np.float32)
    if len(shape) == 1:  # a norm's: from a half to one and a half
        return (1.0 + (odd >> 1) * 2.0**-7).astype(np.float32)
    inputs = 1 if name.startswith("model.embed_tokens") else math.prod(shape[1:])
    power = round(math.log2(_SPREAD * math.sqrt(inputs))) - any(one in name for one in _DOUBLED)
    return (odd * 2.0**-power).astype(np.float32)


@cache
def specimen_clips() -> tuple[SpecimenClip, ...]:
    """Return the clips, all for one batch: of several sizes, lengths and rates, three of them with
    tokens that are known before, two of these side by side."""
    shared = _tokens("shared", 9)
    return (
        # More pairs than rows or columns: places after the video go on behind its times.
        _clip("long", 12, 2, 2, 0.5, Script(_tokens("a", 5), _tokens("b", 6))),
        _clip("first", 4, 4, 4, 0.5, Script((*shared, 3, 4), _tokens("d", 5)), known=9),
        # Nine windows of four sizes, and the default size of a camera's frames.
        _clip("default", 2, 9, 9, 0.5, Script(_tokens("e", 3), _tokens("f", 7))),
        # The same length and prefix as "first": one group.
        _clip("second", 4, 4, 4, 0.5, Script((*shared, 5, 6), _tokens("h", 5)), known=9),
        # Times that fall between whole ones: 0, 1, 3, 4.
        _clip("slow", 8, 5, 3, 0.8, Script((*shared, 7), _tokens("j", 4)), known=10),
    )


class SpecimenSource:
    """The model's weights for the network; see `Source`."""

    def __init__(self, device: torch.device, dtype: torch.dtype, kind: Kind) -> None:
        self._device = device
        self._dtype = dtype
        self._kind = kind

    def plain(self, name: str) -> torch.Tensor:
        """See `Source`."""
        import torch

        return torch.from_numpy(weight(name)).to(self._device, self._dtype)

    def product(
        self, layers: Sequence[str], *, bias: bool, outputs: int = 0, inputs: int = 0
    ) -> Product:
        """See `Source`."""
        import torch

        joined = torch.cat(
            [widened(self.plain(f"{one}.weight").flatten(1), outputs, inputs) for one in layers]
        )
        biases = [widened(self.plain(f"{one}.bias"), outputs) for one in layers] if bias else []
        added = torch.cat(biases) if biases else None
        if self._kind == "none" or layers[0].startswith(NEVER_ROUNDED):
            return PlainProduct(joined, added)
        if self._kind == "rows":
            found = fp8_of([joined], added, self._dtype)
            assert found is not None
            return found
        scale = joined.float().abs().amax() / E4M3_MAX
        codes = (joined.float() / scale).to(torch.float8_e4m3fn)
        fixed = Rounding("fixed", torch.tensor(FIXED_SCALE, device=self._device))
        return Fp8Product(codes, scale, added, self._dtype, fixed)


def _clip(
    name: str,
    frames: int,
    rows: int,
    columns: int,
    seconds_per_pair: float,
    script: Script,
    *,
    known: int = 0,
) -> SpecimenClip:
    shape = (frames, rows * RULES.side, columns * RULES.side, 3)
    pixels = _numbers(f"pixels of {name}", math.prod(shape), 256).astype(np.uint8).reshape(shape)
    grid = Grid(frames // RULES.temporal_patch, rows, columns)
    return SpecimenClip(pixels, Passage(script, grid, seconds_per_pair, known))


def _tokens(name: str, count: int) -> tuple[int, ...]:
    vocabulary = SIZES.language.vocabulary
    return tuple(int(one) for one in _numbers(f"tokens of {name}", count, vocabulary))


def _numbers(name: str, count: int, below: int) -> npt.NDArray[np.uint64]:
    """Return whole numbers below a power of two; each name has its own.

    Source: the finalizer of MurmurHash3 over a counter (public domain); multiplication of
    unsigned integers wraps around.
    """
    state = np.arange(count, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()) << 32)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        state = (state ^ (state >> np.uint64(33))) * np.uint64(factor)
    return (state ^ (state >> np.uint64(33))) % np.uint64(below)
