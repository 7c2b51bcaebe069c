"""Unwatched: what the ledger's reasons, and others on record, mean to a person. Pure."""

from __future__ import annotations

from typing import Final

from edgewatch.pipeline.types import Coverage

HEADLINES: Final[dict[Coverage, str]] = {
    "judged": "Watched",
    "offline": "Not watched: no picture came, the camera was away",
    "connecting": "Not watched: the camera was not connected yet",
    "frozen": "Not watched: the picture showed nothing worth judging",
    "overload": "Not watched: the pictures came, but judging did not keep up",
    "engine_down": "Not watched: the pictures came, but the engine was down",
    "scheduled_off": "Not watched: it lies outside the camera's schedule",
    "disabled": "Not watched: the camera was switched off",
    "too_short": "Not watched: between two breaks there was too little footage for a clip",
    "corrupt": "Not watched: the footage came, but could not be decoded",
    "not_running": "Not watched: edgewatch was not running, or did not know this camera",
}
"""Every reason in a few words."""

CURES: Final[dict[Coverage, str]] = {
    "judged": "",
    "offline": "See why it is away: `edgewatch check`, docs/cameras.md; the log says `camera "
    "health` with the reason.",
    "connecting": "This takes seconds after a start. If it is seen often, the camera's address "
    "answers slowly: `edgewatch check`.",
    "frozen": "Look at the camera: the same picture again and again, dark, or covered. Its health "
    "on MQTT and in the log says which.",
    "overload": "The machine has too little to spare: fewer cameras, a longer stride_seconds or a "
    "faster engine; docs/troubleshooting.md, “The box is too slow”.",
    "engine_down": "Look for `engine failed` in the log; `edgewatch check` tries the engine.",
    "scheduled_off": "If this time is to be watched, widen the camera's `schedule`.",
    "disabled": "Switch it on: `enabled` on the page, by MQTT or in the settings.",
    "too_short": "Short gaps come from a restless connection or a slow stream: `edgewatch "
    "coverage` shows how often.",
    "corrupt": 'The network loses packets: a cable, or rtsp_transport = "tcp"; docs/cameras.md.',
    "not_running": "See `systemctl status edgewatch` and the log of that time; after a kill the "
    "newest half minute cannot be known.",
}
"""What to do, by reason."""

BY: Final = {
    "settings": "the settings file",
    "mqtt": "a command over MQTT",
    "page": "someone on the page",
    "cli": "a command on this machine",
}
"""Who changed a setting, by `SettingChange.by`."""

ENDINGS: Final = {
    "camera_lost": "the camera was lost",
    "not_judged": "its clips were no longer judged",
    "disabled": "the camera was switched off",
    "restart": "the service was gone",
    "stream_ended": "the footage or the service ended",
}
"""Why an event ended at an outage, by `Event.ended_by`."""
