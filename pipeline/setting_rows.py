"""The rows of the table `setting_changes`: from when on which value of a setting held. Pure."""

from __future__ import annotations

from typing import Any

from edgewatch.pipeline.types import SettingChange

COLUMNS = "camera, key, value, at_seconds, changed_by"

SAVE = f"INSERT INTO setting_changes ({COLUMNS}) VALUES (?, ?, ?, ?, ?)"

BETWEEN = f"""
SELECT {COLUMNS} FROM setting_changes WHERE camera = ? AND at_seconds >= ? AND at_seconds < ?
ORDER BY at_seconds, rowid"""

# The newest at that time of each key; of two at one moment the one written last.
IN_FORCE = f"""
SELECT {COLUMNS} FROM setting_changes AS one WHERE camera = :camera AND rowid = (
    SELECT rowid FROM setting_changes
    WHERE camera = :camera AND key = one.key AND at_seconds <= :at
    ORDER BY at_seconds DESC, rowid DESC LIMIT 1)
ORDER BY key"""

# What still held then explains what is not deleted yet.
PRUNE = """
DELETE FROM setting_changes WHERE rowid IN (
    SELECT one.rowid FROM setting_changes AS one WHERE at_seconds < ? AND EXISTS (
        SELECT 1 FROM setting_changes AS later
        WHERE later.camera = one.camera AND later.key = one.key
          AND later.at_seconds > one.at_seconds AND later.at_seconds < ?)
    LIMIT ?)"""


def change_row(change: SettingChange) -> tuple[object, ...]:
    """Return the values in the order of COLUMNS."""
    return (change.camera, change.key, change.value, change.at_seconds, change.by)


def change_of(row: tuple[Any, ...]) -> SettingChange:
    """Return the change of a row of COLUMNS."""
    return SettingChange(*row)
