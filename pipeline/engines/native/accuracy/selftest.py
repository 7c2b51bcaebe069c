"""Self-test: a tiny model on the engine's own device, kernels and types gives the known logits.

The known ones were computed once by transformers in float32 (scripts/make_native_reference.py) and
lie in `reference.json`. A wrong kernel, rule of places, mask or rotation shows here, whatever the
checkpoint; damaged or misread weights of the checkpoint do not (see `comparison`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.device_memory import is_out_of_memory
from edgewatch.pipeline.engines.native.accuracy.specimen import (
    RULES,
    SIZES,
    TOKENS_PER_SECOND,
    Kind,
    SpecimenClip,
    SpecimenSource,
    specimen_clips,
    weight,
)
from edgewatch.pipeline.engines.native.arithmetic import Operations
from edgewatch.pipeline.engines.native.attention import fast_attention
from edgewatch.pipeline.engines.native.language import KeysValues, Language
from edgewatch.pipeline.engines.native.network import Network
from edgewatch.pipeline.engines.native.packing import Passage, pack
from edgewatch.pipeline.engines.native.seeing import upload_pairs
from edgewatch.pipeline.engines.native.weights.assembly import assemble
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.engines.qwen.script import Script
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

REFERENCE = Path(__file__).with_name("reference.json")
CURE = 'set [engine] kind = "transformers" and report this line'


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the self-test saw."""

    differences: Mapping[Kind, float]
    """By kind of products: the largest relative difference of a clip's logits."""
    seconds: float


@cache
def reference() -> npt.NDArray[np.float64]:
    """Return the known logits, (clips, vocabulary)."""
    return np.array(json.loads(REFERENCE.read_text("utf-8"))["logits"], np.float64)


def self_test(
    operations: Operations, device: torch.device, dtype: torch.dtype, kinds: Iterable[Kind]
) -> SelfTest:
    """Run the tiny model with plain products, which every network has some of, and each kind named.

    Raises EngineFailed that names the device and the libraries if an answer is not the known one,
    or if a kernel does not run at all.
    """
    started = time.perf_counter()
    operations = operations.for_trial()
    differences: dict[Kind, float] = {}
    for kind in sorted({"none", *kinds}):
        try:
            found = difference(specimen_logits(operations, device, dtype, kind))
        except Exception as error:  # a compiler's errors have no base of their own
            if is_out_of_memory(error):
                raise
            raise EngineFailed(
                f"the self-test of the native engine broke on {where(device)}, with "
                f"{_of(operations, kind)}: {type(error).__name__}: {error}",
                CURE,
            ) from error
        if not found <= limit(dtype, kind):  # also where it is no number
            raise EngineFailed(
                f"the self-test of the native engine failed on {where(device)}, with "
                f"{_of(operations, kind)}: logits differ by {found:.2g} of their size from the "
                f"known ones, and {limit(dtype, kind):g} is what rounding explains",
                CURE,
            )
        differences[kind] = found
    weight.cache_clear()  # 17 MB that no one needs any more
    return SelfTest(differences, time.perf_counter() - started)


def limit(dtype: torch.dtype, kind: Kind) -> float:
    """Return the largest relative difference of a clip's logits that rounding explains.

    Measured with plain operations: 5e-7 in float32, 0.011 in bfloat16, 0.13 with FP8 of either
    kind. The least of the faults that the tests try (tests/fakes/broken_operations.py) gives 0.24.
    """
    import torch

    if kind != "none":
        return 0.2
    return 1e-4 if dtype == torch.float32 else 0.04


def specimen_logits(
    operations: Operations,
    device: torch.device,
    dtype: torch.dtype,
    kind: Kind,
    clips: Sequence[SpecimenClip] | None = None,
) -> npt.NDArray[np.float64]:
    """Return the tiny model's logits of clips in one batch, (clips, vocabulary); None: its own."""
    import torch

    with torch.inference_mode(), fast_attention(device):
        vision, language = assemble(SIZES, SpecimenSource(device, dtype, kind))
        network = Network(SIZES, vision, language, RULES, operations)
        clips = clips or specimen_clips()
        packed = pack([one.passage for one in clips], tokens_per_second=TOKENS_PER_SECOND)
        ordered = [clips[index] for index in packed.order]
        known = [_known(network.language, ordered[group.first].passage) for group in packed.groups]
        seen = network.vision.see([upload_pairs([one.frames], device) for one in ordered])
        features = torch.cat([one.flatten(0, 1) for one in seen])
        states = network.language.read(packed, features, known=known)
        logits: npt.NDArray[np.float64] = network.language.logits(states).double().cpu().numpy()
    restored = np.empty_like(logits)
    restored[list(packed.order)] = logits
    return restored


def difference(logits: npt.NDArray[np.float64]) -> float:
    """Return the largest relative difference of a clip's logits from the known ones."""
    known = reference()
    sizes = np.linalg.norm(known, axis=1)
    return float((np.linalg.norm(logits - known, axis=1) / sizes).max())


def where(device: torch.device) -> str:
    """Name a device and the libraries that decide what it computes."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    try:
        triton = f"triton {metadata.version('triton')}"
    except metadata.PackageNotFoundError:
        triton = "without triton"
    return f"{name} (torch {torch.__version__}, {triton})"


def _known(language: Language, passage: Passage) -> KeysValues | None:
    """Read the first tokens of a passage by themselves."""
    if not passage.known:
        return None
    script = Script(passage.script.before[: passage.known], ())
    alone = Passage(script, Grid(0, 0, 0), passage.seconds_per_pair)
    room = language.room(passage.known)
    language.read(pack([alone], tokens_per_second=TOKENS_PER_SECOND), None, keep=room)
    return room


def _of(operations: Operations, kind: Kind) -> str:
    products = {"none": "plain", "rows": "FP8 (rows)", "fixed": "FP8 (fixed)"}[kind]
    return f"{products} products and {type(operations).__name__}"
