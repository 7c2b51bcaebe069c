"""What a killed process left: videos are made whole, and what is on record is put right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewatch.pipeline.evidence.folder import EvidenceFolder
from edgewatch.pipeline.evidence.trouble import EvidenceFailed
from edgewatch.pipeline.types import CameraName, EvidenceRow

CUT = "restart"
"""Why such a video ends where it does."""
_NOTHING = "the service was killed before any of the video was written"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What there is now of an event whose recording was under way."""

    row: EvidenceRow
    has_thumbnail: bool

    @property
    def paths(self) -> tuple[str | None, str | None]:
        """Where its video and its thumbnail lie; None where there is none."""
        stem = f"{self.row.folder}/{self.row.event_id}"
        return (
            f"{stem}.mp4" if self.row.state == "ready" else None,
            f"{stem}.jpg" if self.has_thumbnail else None,
        )


def recovered(
    folder: EvidenceFolder, rows: Mapping[str, EvidenceRow], now_seconds: float
) -> list[Recovered]:
    """Finish every recording that was under way; returns what there is of each now. Blocking.

    `rows`: those still in state "recording", by event; files without one get one.
    """
    found = []
    leftovers = {event_id: where for where, event_id in folder.leftovers()}
    for event_id in {**rows, **leftovers}:
        row = rows.get(event_id)
        where = leftovers.get(event_id) or (row.folder if row else "")
        seconds, state, detail = 0.0, "ready", ""
        try:
            if event_id in leftovers:
                seconds = folder.mend(where, event_id)
            elif not folder.has(where, event_id, ".mp4"):
                state, detail = "failed", _NOTHING
        except EvidenceFailed as error:
            state, detail = "failed", str(error)
        _correct(folder, where, event_id, state, detail, seconds)
        now = EvidenceRow(
            event_id=event_id,
            camera=CameraName(where.split("/")[0]),
            state="ready" if state == "ready" else "failed",
            detail=detail,
            folder=where,
            size_bytes=folder.size_bytes(where, event_id),
            created_seconds=row.created_seconds if row else now_seconds,
            protected=row.protected if row else False,
        )
        found.append(Recovered(now, folder.has(where, event_id, ".jpg")))
    return found


def _correct(
    folder: EvidenceFolder, where: str, event_id: str, state: str, detail: str, seconds: float
) -> None:
    """Write into the JSON what became of its video, if the disk takes it."""
    told = folder.read_sidecar(where, event_id)
    if told is None or told.get("state") != "recording":
        return
    video: dict[str, Any] = told.get("video") or {}
    began = video.get("start_seconds")
    told |= {"state": state, "detail": detail}
    if state == "ready":
        video |= {"seconds": seconds, "truncated": CUT, "reencoded": None, "gaps": []}
        if isinstance(began, float):
            video["stretches"] = [
                {
                    "at_seconds": 0.0,
                    "start_seconds": began,
                    "end_seconds": began + seconds,
                }
            ]
        told["video"] = video
    try:
        folder.write_sidecar(where, event_id, told)
    except EvidenceFailed:
        return
