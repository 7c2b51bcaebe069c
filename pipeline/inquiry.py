"""Inquiry: everything the records hold about one moment of one camera, gathered for `explain`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.coverage import open_ms, settled_until_ms
from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.records import Records
from edgewatch.pipeline.types import CameraName, Event, Interval, SettingChange, Verdict
from edgewatch.pipeline.watch import rules_of

NEAR_SECONDS = 60.0
"""How far around the moment scores are read, at the least."""
GAP_SECONDS = 6 * 3600.0
"""How far around it the ends of a gap are looked for."""
MOST_EVENTS = 200


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is known; all times Unix times."""

    camera: CameraName
    moment_seconds: float
    now_seconds: float
    verdicts: tuple[Verdict, ...]
    """Around the moment, in order of their ends: enough for every window that holds it."""
    intervals: tuple[Interval, ...]
    """Some hours around it, in order."""
    events: tuple[Event, ...]
    """Of the time around it and of the cooldown before it, in order."""
    threshold: float | None
    """In force now; None: the camera is no longer configured."""
    rules: EventRules
    """As the settings have them now."""
    past: Mapping[str, SettingChange]
    """Settings that held at the moment, as far as they are on record, by key."""
    known_since_seconds: float | None
    """Where the camera's records begin; None: there are none."""
    settled_until_seconds: float
    """Up to where the ledger is written; later time may still be judged."""
    kept_days: int = 14
    """After how many days records are deleted."""

    @property
    def rules_then(self) -> EventRules:
        """The event rules in force at the moment, by today's where the records say nothing."""
        return replace(self.rules, **_rules_in(self.past))  # type: ignore[arg-type]  # by name

    @property
    def rules_are_known(self) -> bool:
        """Whether the rules of that time are on record."""
        return "open_after" in self.past

    @property
    def snoozed_until_seconds(self) -> float | None:
        """Until when alerts were snoozed at the moment; None: they were not."""
        change = self.past.get("snooze_seconds")
        until = None if change is None else change.at_seconds + float(change.value)
        return until if until is not None and until > self.moment_seconds else None


def gather(
    records: Records,
    settings: Settings,
    camera: CameraName,
    moment_seconds: float,
    now_seconds: float,
) -> Inquiry:
    """Read what is known about a moment. Raises StoreError.

    On an event loop: `await store.ask(lambda records: gather(records, ...))`.
    """
    plan = next((one for one in settings.plans() if one.name == camera), None)
    rules = rules_of(plan) if plan else rules_of(settings.plan_for(None))
    clips = [settings.clips, *(one.clips for one in settings.plans())]
    window_ms = round(1000 * max(one.seconds for one in clips))
    now_ms = round(now_seconds * 1000)
    newest = records.spans(camera, now_ms - open_ms(window_ms), now_ms)
    settled_ms = settled_until_ms(newest[-1][1] if newest else None, now_ms, window_ms)
    past = records.settings_at(camera, moment_seconds)
    inquiry = Inquiry(
        camera=camera,
        moment_seconds=moment_seconds,
        now_seconds=now_seconds,
        verdicts=(),
        intervals=(),
        events=(),
        threshold=threshold_in_force(records, plan, now_seconds) if plan else None,
        rules=rules,
        past=past,
        known_since_seconds=records.known_since(camera),
        settled_until_seconds=settled_ms / 1000,
        kept_days=settings.service.verdict_days,
    )
    then = inquiry.rules_then
    reach = max(NEAR_SECONDS, (then.open_within + 1) * _stride_seconds(plan, settings))
    before = max(reach, then.cooldown_seconds)
    return replace(
        inquiry,
        verdicts=tuple(records.verdicts(camera, moment_seconds - reach, moment_seconds + reach)),
        intervals=tuple(
            records.coverage(
                camera,
                round((moment_seconds - GAP_SECONDS) * 1000),
                round((moment_seconds + GAP_SECONDS) * 1000),
            )
        ),
        events=tuple(
            records.events_between(
                camera, moment_seconds - before, moment_seconds + reach, MOST_EVENTS
            )
        ),
    )


def threshold_in_force(records: Records, plan: CameraPlan, now_seconds: float) -> float:
    """Return a camera's threshold: what an operator set, else the file's. Raises StoreError."""
    change = records.settings_at(CameraName(plan.name), now_seconds).get("threshold")
    if change is None or change.by == "settings":
        return plan.threshold  # the file may have been changed since the daemon read it
    return float(change.value)


def rules_as_text(rules: EventRules) -> dict[str, str]:
    """Return the rules as they stand in the records, by key."""
    values = {field.name: getattr(rules, field.name) for field in fields(rules)}
    return {key: "none" if value is None else repr(value) for key, value in values.items()}


def _rules_in(past: Mapping[str, SettingChange]) -> dict[str, object]:
    """Return what changes of settings say of the rules, by name of the field."""
    found: dict[str, object] = {}
    for field in fields(EventRules):
        change = past.get(field.name)
        if change is not None:
            counted = field.name in ("open_after", "open_within")
            text = change.value
            found[field.name] = None if text == "none" else int(text) if counted else float(text)
    return found


def _stride_seconds(plan: CameraPlan | None, settings: Settings) -> float:
    return plan.clips.stride_seconds if plan else settings.clips.stride_seconds
