"""Costs of a run, put together from its recordings. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from edgewatch.tools.evaluation.evaluation import Costs
from edgewatch.tools.evaluation.judgement import Judgement, Seen

TOGETHER = "engines that judge at the same time cannot be told apart: use --in-turn"


def costs_of(heard: Sequence[tuple[Seen, Judgement]]) -> Costs:
    """Sum what an engine's recordings took."""
    said = [judgement for _, judgement in heard]
    return Costs(
        load_seconds=said[-1].load_seconds if said else 0.0,
        decode_ms=tuple(share for seen, _ in heard for share in [_decode_ms(seen)] * seen.clips),
        engine_ms=tuple(chain.from_iterable(one.engine_ms for one in said)),
        total_ms=tuple(_decode_ms(seen) + ms for seen, one in heard for ms in one.batch_ms),
        judging_seconds=sum(one.judging_seconds for one in said),
        peak_memory_bytes=_most([one.peak_memory_bytes for one in said]),
        peak_gpu_bytes=_most([one.peak_gpu_bytes for one in said]),
        memory_is_shared=any(one.shared_memory for one in said),
        energy_joules=_energy(said),
        energy_source=_energy_source(said),
    )


def _decode_ms(seen: Seen) -> float:
    """Return a clip's share of its recording's decoding."""
    return 1000.0 * seen.decode_seconds / max(1, seen.clips)


def _most(values: Sequence[int | None]) -> int | None:
    return max((one for one in values if one is not None), default=None)


def _energy(said: Sequence[Judgement]) -> float | None:
    """Return the sum; None if a part of it was not measured."""
    parts = [one.energy_joules for one in said]
    known = [one for one in parts if one is not None]
    return sum(known) if known and len(known) == len(parts) else None


def _energy_source(said: Sequence[Judgement]) -> str:
    missing = [one.energy_source for one in said if one.energy_joules is None]
    return next(iter(missing), said[0].energy_source if said else "nothing was judged")
