"""Cost table: what judging took, of each engine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgewatch.tools.evaluation.evaluation import EngineRun
from edgewatch.tools.evaluation.reporting.figure_tables import ENGINE, named
from edgewatch.tools.evaluation.reporting.tables import Cell, Column, Table, missing, number, table

_UNMEASURED = "not measured"


def costs_table(runs: Sequence[EngineRun]) -> Table:
    """Tell times, throughput, memory and energy; a simulated engine's are marked."""
    columns = (
        ENGINE,
        Column("load"),
        Column("decode a clip", hint="A clip's share of its recording's decoding."),
        Column("engine a clip", hint="A clip's share of its batch in the engine."),
        Column("total a clip", hint="From the end of a clip's footage to its answer."),
        Column("clips a second"),
        Column("peak memory", hint="Of the process and its children."),
        Column("peak GPU memory"),
        Column("energy"),
    )
    return table("Time, memory, energy", columns, (_row(one) for one in runs))


def clips_of(run: EngineRun) -> int:
    """Count the clips an engine judged."""
    return sum(len(one.clips) for one in run.recordings)


def clips_per_second(run: EngineRun) -> float | None:
    """Return the throughput; None if no time was measured."""
    seconds = run.costs.judging_seconds
    return clips_of(run) / seconds if seconds > 0 else None


def quantiles(series: Sequence[float]) -> dict[str, float] | None:
    """Return mean, p50 and p95 (interpolated); None for an empty series."""
    if not series:
        return None
    values = np.asarray(series, dtype=np.float64)
    p50, p95 = np.percentile(values, (50, 95))
    return {"mean": float(values.mean()), "p50": float(p50), "p95": float(p95)}


def _row(run: EngineRun) -> list[Cell]:
    costs = run.costs
    return [
        named(run.asked, run.simulated),
        Cell(f"{costs.load_seconds:.1f} s"),
        _series(costs.decode_ms),
        _series(costs.engine_ms),
        _series(costs.total_ms),
        number(clips_per_second(run), _UNMEASURED, decimals=1),
        _memory(run),
        _bytes(costs.peak_gpu_bytes, "no GPU was used, or it does not tell"),
        _energy(run),
    ]


def _series(series: Sequence[float]) -> Cell:
    found = quantiles(series)
    if found is None:
        return missing(_UNMEASURED)
    return Cell(f"{found['mean']:.1f} ms", f"p50 {found['p50']:.1f}, p95 {found['p95']:.1f}")


def _memory(run: EngineRun) -> Cell:
    cell = _bytes(run.costs.peak_memory_bytes, _UNMEASURED)
    return replace(cell, beside="of all engines together") if run.costs.memory_is_shared else cell


def _bytes(count: int | None, reason: str) -> Cell:
    if count is None:
        return missing(reason)
    return Cell(f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB")


def _energy(run: EngineRun) -> Cell:
    joules, source = run.costs.energy_joules, run.costs.energy_source
    if joules is None:
        return missing(source or _UNMEASURED)
    clips = clips_of(run)
    return Cell(f"{joules:.0f} J", f"{joules / clips:.2f} J a clip" if clips else "", source)
