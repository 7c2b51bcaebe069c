"""The table of models and precisions: what each weighs, needs and allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgewatch.pipeline.scenes.memory import plans
from edgewatch.pipeline.scenes.models.catalogue import (
    MODELS,
    Precision,
    SceneModel,
    download_bytes,
    size_bytes,
)
from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.licences import is_assertion, licence_of
from edgewatch.pipeline.scenes.models.lock import ModelsLock

FOOT = """\
size: weights in that precision, as ONNX or plans. fetch: what is downloaded; diffusers makes fp8
and fp4 of the 16-bit weights while it loads them, --onnx fetches ready exports (*).
memory: peak of a picture of 1024x1024, the smallest way there is (one network at a time, decoded
in tiles), as planned. `edgewatch scenes doctor` says what fits this machine.
"""

SIZE = (1024, 1024)
_RIGHT = frozenset({2, 3, 4, 5})


def model_rows(folder: ModelFolder, contract: str | None) -> list[dict[str, Any]]:
    """Return a row for each model and precision, as `--json` has it. Raises SceneRefused.

    `contract`: the setting `dev_commercial_licence`.
    """
    lock = ModelsLock(folder.lock_file)
    return [row for model in MODELS.values() for row in _rows(model, lock, contract)]


def model_lines(rows: list[dict[str, Any]]) -> str:
    """Return the rows for a person."""
    cells = [
        (
            row["model"],
            row["precision"] + ("*" if row["onnx_ready"] else ""),
            _gb(row["size_bytes"]),
            _gb(row["download_bytes"]),
            _gb(row["memory_bytes"]),
            str(row["steps"]),
            row["licence"] + ("" if row["allowed"] else " (refused)"),
            ", ".join(row["here"]) or "-",
        )
        for row in rows
    ]
    head = ("model", "precision", "size", "fetch", "memory", "steps", "licence", "here")
    widths = [max(len(row[column]) for row in (head, *cells)) for column in range(len(head))]
    lines = [
        "  ".join(
            text.rjust(width) if column in _RIGHT else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *cells)
    ]
    return "\n".join([*lines, "", FOOT])


def _rows(model: SceneModel, lock: ModelsLock, contract: str | None) -> Iterator[dict[str, Any]]:
    licence = licence_of(model)
    accepted = lock.acceptance(model.name)
    for precision in model.precisions:
        ready = precision in model.onnx_precisions
        yield {
            "model": model.name,
            "precision": precision,
            "default": precision == model.default_precision,
            "size_bytes": size_bytes(model, precision),
            "download_bytes": download_bytes(model, precision),
            "memory_bytes": min(one.peak_bytes for one in plans(model, precision, SIZE)),
            "steps": model.steps,
            "licence": licence.key,
            "licence_accepted": accepted is not None and accepted.licence == licence.key,
            "allowed": not licence.forbids_surveillance or is_assertion(contract),
            "gated": model.gated,
            "onnx_ready": ready,
            "here": _here(model, precision, lock),
        }


def _here(model: SceneModel, precision: Precision, lock: ModelsLock) -> list[str]:
    kinds = ("weights", f"onnx-{precision}")
    return [kind for kind in kinds if lock.fetched(model.name, kind) is not None]


def _gb(size: int) -> str:
    return f"{size / 10**9:.1f} GB"
