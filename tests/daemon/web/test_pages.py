from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from edgewatch.daemon.web.hub import sse
from edgewatch.pipeline.types import (
    CameraName,
    Event,
    Evidence,
    EvidenceRow,
    Feedback,
    Health,
    Interval,
    Verdict,
)
from tests.daemon.web.site import Site, site
from tests.fakes.clips import make_verdict
from tests.fakes.events import make_event

EVENT_ID = "01a1ffdb-d25a-7971-a340-f99418d6c532"
FRONT = CameraName("front")
PAYLOADS = (
    "<script>document.title='run'</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</bdi></textarea></style><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "]]><!--",
)
"""Texts as a camera, a model, a prompt or a person might hand over."""


class Tags(HTMLParser):
    """What a browser would make of a page: its elements, their attributes, its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_harmless(html: str) -> None:
    """No element or attribute that runs or styles anything, but our own files."""
    for tag, attributes in Tags(html).tags:
        if tag == "script":
            assert (attributes["src"] or "").startswith("/static/")
        assert tag not in ("style", "iframe", "object", "embed", "base")
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, attributes)
            assert name != "style", (tag, attributes)
            if name in ("href", "src", "action", "poster"):
                assert re.match(r"/|\?|#", value or ""), (tag, attributes)


def verdict(end_seconds: float, score: float, **changes: Any) -> Verdict:
    return replace(make_verdict(end_seconds, score), **changes)


def event_of_now(site: Site, **changes: Any) -> Event:
    now_seconds = site.live.fragments._context.clock.wall_seconds()
    event = make_event(EVENT_ID, now_seconds - 30.0, end_seconds=now_seconds - 20.0)
    return replace(event, **changes)


@asynccontextmanager
async def stream(site: Site, query: str) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    """Listen as a page would; yields (event, data)."""

    async def messages(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
        kind = ""
        async for line in response.content:
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                kind = text.removeprefix("event: ")
            elif text.startswith("data: "):
                yield kind, json.loads(text.removeprefix("data: "))

    async with asyncio.timeout(20.0), site.client.get(f"/live?{query}") as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield messages(response)


async def until_message(messages: AsyncIterator[tuple[str, Any]], kind: str, key: str = "") -> Any:
    """Return the data of the next message of a kind, of a patch with this key."""
    async for found, data in messages:
        if found == kind and (not key or data["key"] == key):
            return data
    raise AssertionError(f"the stream ended before {kind} {key}")


class TestForeignTexts:
    @pytest.mark.parametrize("payload", PAYLOADS)
    async def test_whatever_comes_from_outside_is_shown_as_text(self, payload: str) -> None:
        """Health details, words, reasons, prompts, engine names, notes, recordings' names."""
        async with site("front") as s:
            now_seconds = s.live.fragments._context.clock.wall_seconds()
            s.cameras["front"].reports.on_health(
                Health(FRONT, "offline", now_seconds, payload, payload)
            )
            store = s.pipeline.store
            event = event_of_now(s, description=payload, engine=payload)
            odd = replace(event, event_id=EVENT_ID[:-1] + "3", camera=CameraName(payload))
            for one in (event, odd):
                await store.save_event(one)
                await store.set_feedback(
                    Feedback(one.event_id, one.camera, True, payload, "page", now_seconds)
                )
                await store.save_evidence(
                    EvidenceRow(
                        one.event_id, one.camera, "failed", payload, payload, 1, now_seconds
                    )
                )
            reason = Evidence(payload, 1.0, payload, payload)
            store.save_verdict(
                verdict(
                    now_seconds - 20.0, 0.9, evidence=(reason,), prompt_hash=payload, engine=payload
                )
            )
            await s.until(lambda: s.pipeline.flow.watches[0].health.state == "offline")
            await s.live.recent.prime_events(store)
            shown = ""
            for path in (
                "/",
                "/status",
                "/events",
                "/cameras/front",
                f"/cameras/front/why?at={now_seconds - 21}",
                f"/events/{event.event_id}",
                f"/events/{odd.event_id}",
            ):
                html = await s.text(path)
                assert_harmless(html)
                shown += Tags(html).text
            assert shown.count(payload) >= 10

    async def test_what_a_person_asks_for_is_not_echoed_as_markup(self) -> None:
        async with site("front") as s:
            for payload in PAYLOADS:
                for path in (
                    f"/events?camera={payload}&day={payload}&before={payload}",
                    f"/cameras/front?hours={payload}&until={payload}",
                ):
                    async with s.client.get(path.replace("#", "%23").replace("%}", "%25}")) as got:
                        assert_harmless(await got.text())

    async def test_marks_that_turn_or_hide_writing_are_taken_out(self) -> None:
        async with site("front") as s:
            words = "safe\u202e\u2066gnp.exe\u200b\x00\x1b[31m \ud83d"
            await s.pipeline.store.save_event(event_of_now(s, description=words))
            text = Tags(await s.text(f"/events/{EVENT_ID}")).text
            assert "safegnp.exe[31m ?" in text
            assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200b\x00\x1b]", text)

    async def test_the_stream_is_as_harmless_as_the_pages(self) -> None:
        async with site("front") as s, stream(s, "view=wall") as messages:
            await until_message(messages, "patch", "tile:front")
            s.cameras["front"].reports.on_health(
                Health(FRONT, "frozen", 1.0, "x", "<img src=x onerror=alert(1)>")
            )
            patch = await until_message(messages, "patch", "tile:front")
            assert "&lt;img src=x" in patch["html"]
            assert_harmless(patch["html"])


class TestWall:
    async def test_one_look_says_that_everything_is_watched(self) -> None:
        async with site("front", "back") as s:
            s.see("front")
            s.see("back")
            await s.until(lambda: len(s.live.recent.points(CameraName("back"))) == 1)
            html = await s.text("/")
            assert "All 2 cameras watched" in html
            assert html.count('class="tile"') == 2

    async def test_a_camera_that_is_not_watched_says_why_and_what_cures_it(self) -> None:
        async with site("front", "back") as s:
            s.see("back")
            health = Health(FRONT, "frozen", 1_800_000_000.0, "frozen", "Restart the camera.")
            s.cameras["front"].reports.on_health(health)
            await s.until(lambda: s.pipeline.flow.watches[0].health.state == "frozen")
            await s.until(lambda: bool(s.live.recent.points(CameraName("back"))))
            html = await s.text("/")
            assert "1 of 2 cameras not watched" in html
            assert "Restart the camera." in html
            assert "mood-blind" in html

    async def test_a_camera_switched_off_is_no_alarm(self) -> None:
        async with site("front", "back") as s:
            s.see("back")
            assert s.pipeline.commands.take("front", "enabled", b"false") is None
            await s.until(lambda: bool(s.live.recent.points(CameraName("back"))))
            await s.until(lambda: s.pipeline.flow.watches[0].health.state == "off")
            assert "The camera is watched, 1 off" in await s.text("/")

    async def test_without_cameras_it_says_what_to_do(self) -> None:
        async with site() as s:
            html = await s.text("/")
            assert "No camera is configured" in html
            assert "[[cameras]]" in html

    async def test_the_picture_is_the_newest_frame(self) -> None:
        async with site("front") as s:
            await s.text("/cameras/front/picture.jpg", status=404)
            s.see("front")
            async with s.client.get("/cameras/front/picture.jpg") as got:
                assert got.content_type == "image/jpeg"
                jpeg = await got.read()
            pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None
            assert pixels.shape == (28, 28, 3)
            assert abs(int(pixels.mean()) - 127) <= 2


class TestStream:
    async def test_a_page_gets_the_whole_state_then_what_changes(self) -> None:
        async with (
            site("front", answers=lambda clip: 0.9) as s,
            stream(s, "view=wall") as messages,
        ):
            assert set(await until_message(messages, "hello")) == {"assets"}
            assert (
                "Not judged yet" in (await until_message(messages, "patch", "tile:front"))["html"]
            )
            s.see("front")
            event = await until_message(messages, "event")
            assert (event["camera"], event["type"]) == ("front", "new")
            patch = await until_message(messages, "patch", "tile:front")
            assert f"/events/{event['event_id']}" in patch["html"]
            picture = await until_message(messages, "picture")
            assert picture["camera"] == "front"

    async def test_a_picture_is_encoded_once_for_all_who_look(self) -> None:
        async with (
            site("front") as s,
            stream(s, "view=wall") as first,
            stream(s, "view=camera&name=front&hours=24") as second,
        ):
            s.see("front")
            one, other = [await until_message(page, "picture") for page in (first, second)]
            assert one == other
            assert s.live.figures()["pictures_encoded"] == 1

    async def test_nothing_is_encoded_while_nobody_looks(self) -> None:
        async with site("front") as s:
            s.see("front")
            await s.until(lambda: bool(s.live.recent.points(FRONT)))
            async with stream(s, "view=status") as messages:
                await until_message(messages, "patch", "status")
                await until_message(messages, "patch", "status")
            assert s.live.figures()["pictures_encoded"] == 0

    async def test_a_silent_stream_beats(self) -> None:
        async with site() as s, stream(s, "view=events") as messages:
            await until_message(messages, "beat")

    async def test_a_page_that_leaves_is_forgotten(self) -> None:
        async with site("front") as s:
            async with stream(s, "view=wall") as messages:
                await until_message(messages, "patch", "tile:front")
                assert s.live.figures()["pages"] == 1
            await s.until(lambda: s.live.figures()["pages"] == 0)

    async def test_a_page_that_does_not_read_loses_pictures_and_no_news(self) -> None:
        async with site("front") as s:
            hub = s.live.hub
            reader, writer = await asyncio.open_connection("127.0.0.1", s.client.port)
            writer.write(b"GET /live?view=wall HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await s.until(lambda: hub.figures.pages == 1)

            def press() -> bool:
                """Show pictures until neither the page nor any buffer on the way takes more."""
                hub.picture("front", b"event: big\ndata: " + b"1" * 1_000_000 + b"\n\n")
                return hub.figures.pictures_dropped > 3

            await s.until(press)
            for number in range(20):
                hub.news(sse("told", number))
            received = b""
            async with asyncio.timeout(20.0):
                while b"event: told\ndata: 19\n" not in received:
                    received += await reader.read(1_000_000)
            told = [int(one) for one in re.findall(rb"event: told\ndata: (\d+)\n", received)]
            assert told == list(range(20))
            assert hub.figures.pages_cut == 0
            writer.close()
            await s.until(lambda: hub.figures.pages == 0)

    async def test_a_house_that_is_full_says_so(self) -> None:
        async with site("front") as s:
            s.live.hub._most_pages = 0
            async with s.client.get("/live?view=wall") as got:
                assert got.status == 503
                assert "Retry-After" in got.headers


class TestEvents:
    async def test_pages_follow_each_other_without_hole_or_overlap(self) -> None:
        async with site("front") as s:
            ids = [EVENT_ID[:-3] + f"{number:03d}" for number in range(95)]
            for number, event_id in enumerate(ids):
                await s.pipeline.store.save_event(
                    make_event(event_id, 1_000_000.0 + number // 4, end_seconds=1_000_100.0)
                )
            seen: list[str] = []
            path: str | None = "/events"
            while path:
                html = await s.text(path)
                seen += re.findall(r'class="line" href="/events/([0-9a-f-]+)"', html)
                older = re.search(r'href="([^"]+)" rel="next"', html)
                path = older[1].replace("&amp;", "&") if older else None
            assert seen == sorted(ids, reverse=True)

    async def test_limits_limit(self) -> None:
        async with site("front") as s:
            store, now_seconds = s.pipeline.store, s.live.fragments._context.clock.wall_seconds()
            for number, camera in enumerate(("front", "back")):
                event = event_of_now(
                    s, event_id=EVENT_ID[:-1] + str(number), camera=CameraName(camera)
                )
                await store.save_event(
                    replace(event, suppressed_by="cooldown" if camera == "back" else None)
                )
            await store.set_feedback(
                Feedback(EVENT_ID[:-1] + "0", FRONT, False, "", "cli", now_seconds)
            )
            for query, wanted in (
                ("camera=front", {"front"}),
                ("camera=nobody", set()),
                ("sent=no", {"back"}),
                ("sent=yes", {"front"}),
                ("feedback=false", {"front"}),
                ("feedback=true", set()),
                ("feedback=none", {"back"}),
                ("day=1999-01-01", set()),
                ("day=nonsense&sent=nonsense", {"front", "back"}),
            ):
                html = await s.text(f"/events?{query}")
                found = re.findall(r'class="what"><strong>(\w+)', html)
                assert set(found) == wanted, query

    async def test_a_video_appears_by_itself(self) -> None:
        async with site("front") as s:
            event = event_of_now(s, thumbnail=f"{EVENT_ID}.jpg", video=f"{EVENT_ID}.mp4")
            await s.pipeline.store.save_event(event)
            async with stream(s, f"view=event&id={EVENT_ID}") as messages:
                html = (await until_message(messages, "patch", f"video:{EVENT_ID}"))["html"]
                assert "appears here by itself" in html
                assert "<video" not in html
                await s.pipeline.store.save_evidence(
                    EvidenceRow(EVENT_ID, FRONT, "ready", "", "front", 1000, event.start_seconds)
                )
                html = (await until_message(messages, "patch", f"video:{EVENT_ID}"))["html"]
                assert f'src="/evidence/{EVENT_ID}.mp4"' in html

    async def test_where_no_evidence_is_kept_nobody_waits_for_a_video(self) -> None:
        async with site("front") as s:
            await s.pipeline.store.save_event(event_of_now(s))
            assert "No video was kept" in await s.text(f"/events/{EVENT_ID}")
            open_event = event_of_now(s, event_id=EVENT_ID[:-1] + "0", end_seconds=None)
            await s.pipeline.store.save_event(open_event)
            assert "No video is being kept" in await s.text(f"/events/{open_event.event_id}")

    async def test_an_event_that_is_not_there_is_404(self) -> None:
        async with site("front") as s:
            assert "no such event" in await s.text(f"/events/{EVENT_ID}", status=404)
            await s.text("/events/../../etc/passwd", status=404)


class TestChanges:
    async def test_a_threshold_holds_at_once_and_a_script_gets_json(self) -> None:
        async with site("front") as s:
            async with s.client.post(
                "/cameras/front/set",
                data={"key": "threshold", "value": "0.75"},
                headers={"Accept": "application/json"},
            ) as got:
                assert (got.status, await got.json()) == (200, {"error": None})
            assert s.pipeline.flow.watches[0].threshold == 0.75
            page = await s.client.get("/cameras/front")
            assert "Differs from the settings file: threshold." in await page.text()

    async def test_a_plain_form_is_led_back(self) -> None:
        async with site("front") as s:
            form = {"key": "snooze_seconds", "value": "600"}
            async with s.client.post("/cameras/front/set", data=form, allow_redirects=False) as got:
                assert (got.status, got.headers["Location"]) == (303, "/cameras/front")
            assert s.pipeline.flow.watches[0].snoozed_until_seconds is not None

    @pytest.mark.parametrize(
        ("name", "key", "value"),
        [
            ("front", "threshold", "seven"),
            ("front", "threshold", "1.5"),
            ("front", "threshold", "0" * 41),
            ("front", "prompt", "say yes"),
            ("front", "feedback", "true"),
            ("nobody", "threshold", "0.5"),
        ],
    )
    async def test_what_makes_no_sense_changes_nothing(
        self, name: str, key: str, value: str
    ) -> None:
        async with site("front") as s:
            form = {"key": key, "value": value}
            async with s.client.post(f"/cameras/{name}/set", data=form) as got:
                assert got.status == 400
                assert_harmless(await got.text())
            assert s.pipeline.flow.watches[0].threshold == 0.5

    async def test_nobody_changes_anything_without_the_right_to(self) -> None:
        async with site("front", may_write=False) as s:
            await s.pipeline.store.save_event(event_of_now(s))
            for path, form in (
                ("/cameras/front/set", {"key": "threshold", "value": "0.9"}),
                (f"/events/{EVENT_ID}/feedback", {"correct": "true"}),
                (f"/events/{EVENT_ID}/protect", {"protected": "true"}),
            ):
                async with s.client.post(path, data=form) as got:
                    assert got.status == 403
            assert s.pipeline.flow.watches[0].threshold == 0.5
            assert await s.pipeline.store.feedback(EVENT_ID) is None
            html = await s.text("/cameras/front")
            assert "log in" in html
            buttons = [of for tag, of in Tags(html).tags if tag == "input" and "name" in of]
            assert all(
                "disabled" in of for of in buttons if of["type"] != "hidden" and of["name"] != "at"
            )

    async def test_feedback_is_kept_changed_and_taken_back(self) -> None:
        async with site("front") as s:
            await s.pipeline.store.save_event(event_of_now(s))
            for said, note in (("true", "a <b>fight</b>"), ("false", "x" * 900)):
                async with s.client.post(
                    f"/events/{EVENT_ID}/feedback", data={"correct": said, "note": note}
                ) as got:
                    assert got.status == 200
                kept = await s.pipeline.store.feedback(EVENT_ID)
                assert kept is not None
                assert (kept.correct, kept.note, kept.given_by) == (
                    said == "true",
                    note[:500],
                    "page",
                )
                assert f'data-feedback="{said}"' in await s.text(f"/events/{EVENT_ID}")
            async with s.client.post(f"/events/{EVENT_ID}/feedback", data={"correct": ""}) as got:
                assert got.status == 200
            assert await s.pipeline.store.feedback(EVENT_ID) is None

    async def test_evidence_is_kept_for_good(self) -> None:
        async with site("front") as s:
            await s.pipeline.store.save_event(event_of_now(s))
            path, form = f"/events/{EVENT_ID}/protect", {"protected": "true"}
            async with s.client.post(path, data=form) as got:
                assert got.status == 400
            row = EvidenceRow(EVENT_ID, FRONT, "ready", "", "front", 1, 1.0)
            await s.pipeline.store.save_evidence(row)
            async with s.client.post(path, data=form) as got:
                assert got.status == 200
            kept = await s.pipeline.store.evidence(EVENT_ID)
            assert kept is not None
            assert kept.protected


class TestCamera:
    async def test_the_timeline_tells_what_another_threshold_would_have_meant(self) -> None:
        async with site("front") as s:
            now_seconds = s.live.fragments._context.clock.wall_seconds()
            for number, score in enumerate((0.2, 0.4, 0.6, 0.8)):
                s.pipeline.store.save_verdict(make_verdict(now_seconds - 60 + number, score))
            since_ms = round(now_seconds * 1000) - 60_000
            await s.pipeline.store.save_coverage(
                [Interval(FRONT, since_ms, since_ms + 30_000, "judged")]
            )
            html = await s.text("/cameras/front?hours=1")
            above = re.search(r'data-above="([\d ]+)"', html)
            assert above
            counts = [int(one) for one in above[1].split()]
            assert [counts[at] for at in (0, 30, 50, 70, 90)] == [4, 3, 2, 1, 0]
            assert 'class="judged' in html

    async def test_a_camera_that_is_gone_keeps_its_past(self) -> None:
        async with site("front") as s:
            await s.pipeline.store.save_event(event_of_now(s, camera=CameraName("old")))
            assert "No camera of this name is configured any more" in await s.text("/cameras/old")
            await s.text("/cameras/never", status=404)

    async def test_a_moment_is_explained_on_the_page_and_by_itself(self) -> None:
        async with site("front") as s:
            now_seconds = s.live.fragments._context.clock.wall_seconds()
            s.pipeline.store.save_verdict(make_verdict(now_seconds - 60, 0.4))
            at = now_seconds - 62
            part = await s.text(f"/cameras/front/why?at={at}&part=1")
            assert part.lstrip().startswith('<div class="why">')
            assert "0.400" in part
            whole = await s.text(f"/cameras/front/why?at={at}")
            assert part.strip() in whole

    @pytest.mark.parametrize("at", ["", "tomorrow", "nan", "inf", "-1e300", "9" * 60])
    async def test_what_is_no_time_is_said_to_be_none(self, at: str) -> None:
        async with site("front") as s:
            await s.text(f"/cameras/front/why?at={at}&part=1", status=400)
            await s.text(f"/cameras/front/why?at={at}", status=400)
