"""The rows of the table `drills`: what came of fire drills. Pure."""

from __future__ import annotations

import json

from edgewatch.pipeline.drill.result import DrillResult, decode_result, encode_result

KEPT_EACH = 100
"""Drills of a camera that are kept; older ones go."""

SAVE = (
    "INSERT OR REPLACE INTO drills (drill_id, camera, started_seconds, passed, result) "
    "VALUES (?, ?, ?, ?, ?)"
)

PRUNE = f"""
DELETE FROM drills WHERE camera = ?1 AND drill_id NOT IN (
    SELECT drill_id FROM drills WHERE camera = ?1
    ORDER BY started_seconds DESC LIMIT {KEPT_EACH})"""

NEWEST = """
SELECT result FROM drills WHERE :camera IS NULL OR camera = :camera
ORDER BY started_seconds DESC, drill_id DESC LIMIT :limit"""

# Of each camera the newest, and the newest that passed: "passed 40 days ago, failed today".
LATEST = """
SELECT result FROM drills AS one WHERE drill_id = (
    SELECT drill_id FROM drills WHERE camera = one.camera ORDER BY started_seconds DESC LIMIT 1)
ORDER BY camera"""
PASSED = """
SELECT camera, max(started_seconds) FROM drills WHERE passed GROUP BY camera"""


def drill_row(result: DrillResult) -> tuple[object, ...]:
    """Return the values in the order of SAVE."""
    return (
        result.drill_id,
        result.camera,
        result.started_seconds,
        result.passed,
        json.dumps(encode_result(result)),
    )


def result_of(text: str) -> DrillResult:
    """Return the result of a row."""
    return decode_result(json.loads(text))
