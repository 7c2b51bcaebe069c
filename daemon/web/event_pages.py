"""The pages of events: a list to search, and one event with all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import get_args
from urllib.parse import urlencode

from aiohttp import web

from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.fragments import Fragments
from edgewatch.daemon.web.templating import page
from edgewatch.pipeline.event_rows import EventSearch, FeedbackFilter
from edgewatch.pipeline.types import CameraName, Event, EvidenceRow, Feedback

EVENTS_ON_A_PAGE = 40
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One event of the list."""

    event: Event
    evidence: EvidenceRow | None
    feedback: Feedback | None


def routes(context: WebContext, fragments: Fragments) -> list[web.RouteDef]:
    """Return the routes below /events that only show."""
    events = EventPages(context, fragments)
    return [web.get("/events", events.index), web.get("/events/{event_id}", events.show)]


class EventPages:
    """Shows events."""

    def __init__(self, context: WebContext, fragments: Fragments) -> None:
        self._context = context
        self._fragments = fragments

    async def index(self, request: web.Request) -> web.Response:
        """List the events that are searched for, newest first."""
        store, asked = self._context.pipeline.store, request.query
        search = search_of(
            asked.get("camera"), asked.get("day"), asked.get("feedback"), asked.get("sent")
        )
        found = await store.events_page(
            search, before=_before(asked.get("before", "")), limit=EVENTS_ON_A_PAGE + 1
        )
        shown, more = found[:EVENTS_ON_A_PAGE], len(found) > EVENTS_ON_A_PAGE
        ids = [event.event_id for event in shown]
        evidence, feedback = await store.evidence_of(ids), await store.feedback_of(ids)
        filters = {
            key: asked[key] for key in ("camera", "day", "feedback", "sent") if asked.get(key)
        }
        older = None
        if more:
            last = shown[-1]
            before = f"{last.start_seconds!r}~{last.event_id}"
            older = "/events?" + urlencode({**filters, "before": before})
        return page(
            request,
            "events.html",
            summary=await self._fragments.html("summary"),
            lines=[
                Line(event, evidence.get(event.event_id), feedback.get(event.event_id))
                for event in shown
            ],
            count=await store.count_events(search),
            cameras=await store.cameras(),
            filters=filters,
            older=older,
            newest="/events?" + urlencode(filters) if asked.get("before") else None,
        )

    async def show(self, request: web.Request) -> web.Response:
        """Show one event."""
        event_id = request.match_info["event_id"]
        happening = await self._fragments.happening(event_id)
        if happening is None:
            return page(
                request,
                "fault.html",
                status=404,
                title="There is no such event",
                sentence="It may have been deleted: events are kept as long as the settings say.",
            )
        return page(
            request,
            "event.html",
            summary=await self._fragments.html("summary"),
            it=happening,
            facts=await self._fragments.html(f"event:{event_id}"),
            video=await self._fragments.html(f"video:{event_id}"),
        )


def search_of(
    camera: str | None, day: str | None, feedback: str | None, sent: str | None
) -> EventSearch:
    """Read a search from a form; what makes no sense sets no limit."""
    since = until = None
    if day:
        try:
            begin = datetime.combine(date.fromisoformat(day), datetime.min.time())
            since = begin.timestamp()
            until = (begin + timedelta(days=1)).timestamp()
        except (ValueError, OverflowError, OSError):
            since = until = None
    wanted: FeedbackFilter | None = None
    for known in get_args(FeedbackFilter):
        wanted = known if known == feedback else wanted
    return EventSearch(
        cameras=(CameraName(camera[:LONGEST_NAME]),) if camera else None,
        since_seconds=since,
        until_seconds=until,
        suppressed={"yes": False, "no": True}.get(sent or ""),
        feedback=wanted,
    )


def _before(text: str) -> tuple[float, str] | None:
    start, _, event_id = text.partition("~")
    try:
        return (float(start), event_id) if event_id else None
    except ValueError:
        return None
