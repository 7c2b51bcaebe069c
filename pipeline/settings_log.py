"""The settings' log: what the file says of each camera, written down whenever that changes.

With what operators change, and who is told by `Commands`, the records then know what held at any
time: `edgewatch why` answers by the rules of that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import structlog

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.inquiry import rules_as_text
from edgewatch.pipeline.types import CameraName, SettingChange
from edgewatch.pipeline.watch import rules_of

log = structlog.get_logger(__name__)


class ChangeBooks(Protocol):
    """Where changes are kept; a StoreThread in the product. May raise StoreError."""

    def log_change(self, change: SettingChange) -> None:
        """Keep a change of a setting, soon."""

    async def settings_at(self, camera: CameraName, at_seconds: float) -> dict[str, SettingChange]:
        """Return by key the last change of a camera's settings up to a moment."""


async def log_start(books: ChangeBooks, plans: Iterable[CameraPlan], now_seconds: float) -> None:
    """Write down what differs from what held before; `kept_settings` adds what operators set.

    Trouble is logged; a service starts without it.
    """
    try:
        for plan in plans:
            held = await books.settings_at(CameraName(plan.name), now_seconds)
            for change in changes_at_start(plan, held, now_seconds):
                books.log_change(change)
    except StoreError as error:
        log.error("changes of settings not written", reason=str(error))


def log_reload(
    books: ChangeBooks, before: CameraPlan | None, after: CameraPlan, now_seconds: float
) -> None:
    """Write down what the file says otherwise than before; None: a new camera."""
    old = values_of(before) if before else {}
    try:
        for key, value in values_of(after).items():
            if old.get(key) != value:
                books.log_change(_change(after, key, value, now_seconds))
    except StoreError as error:
        log.error("changes of settings not written", reason=str(error))


def changes_at_start(
    plan: CameraPlan, held: Mapping[str, SettingChange], now_seconds: float
) -> Iterator[SettingChange]:
    """Yield what holds from a start on and did not before; a snooze ends with the service."""
    for key, value in values_of(plan).items():
        if key not in held or held[key].value != value:
            yield _change(plan, key, value, now_seconds)
    snooze = held.get("snooze_seconds")
    if snooze is not None and snooze.at_seconds + float(snooze.value) > now_seconds:
        yield _change(plan, "snooze_seconds", "0", now_seconds)


def values_of(plan: CameraPlan) -> dict[str, str]:
    """Return what the file says of a camera, as commands write it, by key."""
    return {
        "enabled": str(plan.enabled).lower(),
        "threshold": f"{plan.threshold:g}",
        **rules_as_text(rules_of(plan)),
    }


def _change(plan: CameraPlan, key: str, value: str, now_seconds: float) -> SettingChange:
    return SettingChange(CameraName(plan.name), key, value, now_seconds, "settings")
