"""What `edgewatch quantize` tells in the end: in words, and as JSON."""

from __future__ import annotations

from typing import Any

from edgewatch.pipeline.engines.memory_plan import GB
from edgewatch.tools.quantising.drift import FEW_CLIPS, Drift
from edgewatch.tools.quantising.verification import Verified


def sizes(found: Verified) -> str:
    """Return the sizes in a sentence: "NVFP4, 6.9 GB of weights (the original 16.6 GB)"."""
    original = ""
    if found.original_bytes is not None:
        original = f" (the original {size(found.original_bytes)})"
    return (
        f"{found.format.algorithm}: {found.matrices} matrices, {size(found.weights_bytes)} of "
        f"weights{original}"
    )


def drift_lines(drift: Drift) -> list[str]:
    """Return what was found of the scores, a line each."""
    clips = len(drift.distances)
    lines = [
        f"drift of P(anomaly) on {clips} clips: {figure(drift.mean)} on average, "
        f"{figure(drift.largest)} at most; {drift.changed} of {clips} change sides of the "
        f"threshold {drift.threshold:g}"
    ]
    if clips < FEW_CLIPS:
        lines.append(
            f"{clips} clips are few: the drift on your cameras may be another. Give more footage "
            "(--clips) or a larger --compare"
        )
    if drift.simulated:
        lines.append(
            f"simulated: {drift.simulated}. This device has no such products; their results are "
            "imitated, so the scores are near those of a device that has them, and times are not"
        )
    return lines


def drift_document(drift: Drift) -> dict[str, Any]:
    """Return the same for machines, without NaN."""
    return {
        "drift_mean": drift.mean,
        "drift_max": drift.largest,
        "labels_changed": drift.changed,
        "compared_clips": len(drift.distances),
        "few_clips": len(drift.distances) < FEW_CLIPS,
        "threshold": drift.threshold,
        "simulated": drift.simulated or None,
    }


def figure(value: float | None) -> str:
    """Return a drift with four digits."""
    return "unknown" if value is None else f"{value:.4f}"


def size(size_bytes: int) -> str:
    """Return a size as people say it."""
    return f"{size_bytes / GB:.2f} GB" if size_bytes >= GB / 10 else f"{size_bytes / 1e6:.2f} MB"
