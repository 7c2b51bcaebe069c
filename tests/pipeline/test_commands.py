"""Commands beside a flow on virtual time; what changes a camera is in test_flow.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from structlog.testing import capture_logs

from edgewatch.pipeline.commands import FEEDBACK_WAITING, Commands
from edgewatch.pipeline.complaints import MOST_LINES
from edgewatch.pipeline.types import CameraName, Feedback
from tests.fakes.camera import make_feed
from tests.fakes.command_books import FakeCommandBooks
from tests.fakes.events import make_event
from tests.fakes.flow import Rig, on_virtual_time, rig

FIRST = "0198c4a2-7d3e-7b1c-9a55-000000000001"
SECOND = "0198c4a2-7d3e-7b1c-9a55-000000000002"
QUIET = "0198c4a2-7d3e-7b1c-9a55-000000000003"
YARD = CameraName("yard")
KNOWN = (
    make_event(FIRST, 1_000.0, end_seconds=1_010.0),
    make_event(SECOND, 2_000.0, end_seconds=2_010.0),
    replace(make_event(QUIET, 3_000.0), suppressed_by="snooze"),
)


@dataclass
class Desk:
    """Commands at work on a flow with the cameras `front` and `yard`."""

    commands: Commands
    books: FakeCommandBooks
    rig: Rig

    def say(self, payload: str, camera: str = "front") -> str | None:
        return self.commands.take(camera, "feedback", payload.encode())

    def answer(self, camera: str = "front") -> dict[str, Any]:
        found: dict[str, Any] = self.rig.speaker.retained[f"edgewatch/{camera}/settings"]
        return found


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    async with rig() as r:
        books = FakeCommandBooks(*KNOWN)
        commands = Commands(r.clock, books)
        commands.serve(r.flow, r.chronicle)
        r.flow.add(make_feed())
        r.flow.add(make_feed("yard"))
        running = asyncio.create_task(commands.run())
        yield Desk(commands, books, r)
        running.cancel()


class TestFeedback:
    def test_it_is_kept_with_the_event_it_names(self) -> None:
        async def test() -> None:
            async with desk() as d:
                said = {"event_id": FIRST, "correct": False, "note": "a cat"}
                assert d.say(json.dumps(said)) is None
                await d.rig.settle()
                (kept,) = d.books.said
                assert (kept.event_id, kept.camera, kept.correct) == (FIRST, "front", False)
                assert (kept.note, kept.given_by) == ("a cat", "mqtt")
                assert 0.0 <= d.rig.clock.wall_seconds() - kept.given_seconds < 1.0
                assert d.answer()["error"] is None

        on_virtual_time(test)()

    def test_a_word_speaks_of_the_last_event_that_was_sent(self) -> None:
        async def test() -> None:
            async with desk() as d:
                assert d.say("true") is None
                await d.rig.settle()
                assert [(one.event_id, one.correct) for one in d.books.said] == [(SECOND, True)]

        on_virtual_time(test)()

    def test_what_cannot_be_kept_is_answered_with_the_reason(self) -> None:
        async def test() -> None:
            async with desk() as d:
                assert d.say("true", "yard") is None
                d.say(json.dumps({"event_id": FIRST, "correct": True}), "yard")
                d.say("perhaps")
                await d.rig.settle()
                assert "yard has no event" in d.answer("yard")["error"]
                assert "'perhaps' is neither" in d.answer()["error"]
                d.books.broken = True
                d.say("true")
                await d.rig.settle()
                assert "the log says why" in d.answer()["error"]
                assert d.books.said == []
                d.books.broken = False
                d.say("true")
                await d.rig.settle()
                assert d.answer()["error"] is None

        on_virtual_time(test)()

    def test_first_camera_without_events_is_told_so(self) -> None:
        async def test() -> None:
            async with desk() as d:
                d.say("false", "yard")
                await d.rig.settle()
                assert "no event was sent yet" in d.answer("yard")["error"]

        on_virtual_time(test)()

    def test_page_and_command_line_come_by_the_same_way(self) -> None:
        async def test() -> None:
            async with desk() as d:
                of_front = CameraName("front")
                good = Feedback(FIRST, of_front, True, "", "page", 1.0)
                assert await d.commands.feedback(good) is None
                assert d.books.said == [good]
                other = replace(good, camera=YARD)
                assert "no event" in str(await d.commands.feedback(other))
                assert d.books.said == [good]

        on_virtual_time(test)()

    def test_slow_disk_bounds_what_waits(self) -> None:
        async def test() -> None:
            async with desk() as d:
                d.books.slow = asyncio.Event()
                answers = []
                for _ in range(FEEDBACK_WAITING + 2):
                    answers.append(d.say("true"))
                    await asyncio.sleep(0)
                assert answers[:FEEDBACK_WAITING] == [None] * FEEDBACK_WAITING
                assert "too much of it" in str(answers[-1])
                d.books.slow.set()
                await d.rig.settle()
                assert len(d.books.said) == sum(answer is None for answer in answers)

        on_virtual_time(test)()


class TestChanges:
    def test_each_change_is_written_down_with_who_made_it(self) -> None:
        async def test() -> None:
            async with desk() as d:
                d.commands.take("front", "threshold", b"0.70")
                d.commands.take("yard", "enabled", b"OFF", by="page")
                d.commands.take("front", "snooze_seconds", b"600", by="cli")
                d.commands.take("front", "threshold", b"7")
                written = [(one.camera, one.key, one.value, one.by) for one in d.books.changes]
                assert written == [
                    ("front", "threshold", "0.7", "mqtt"),
                    ("yard", "enabled", "false", "page"),
                    ("front", "snooze_seconds", "600", "cli"),
                ]

        on_virtual_time(test)()

    def test_books_in_trouble_do_not_keep_a_change_from_holding(self) -> None:
        async def test() -> None:
            async with desk() as d:
                d.books.broken = True
                assert d.commands.take("front", "threshold", b"0.9") is None
                assert d.answer()["threshold"] == 0.9

        on_virtual_time(test)()


class TestRefusals:
    def test_bad_command_to_no_camera_is_answered_nowhere(self) -> None:
        async def test() -> None:
            async with desk() as d:
                topics = set(d.rig.speaker.retained)
                assert d.commands.take("cellar", "enabled", b"false") == "no such camera"
                assert d.commands.refuse("cellar", "enabled", "too long") == "too long"
                assert set(d.rig.speaker.retained) == topics

        on_virtual_time(test)()

    def test_flood_is_few_lines_and_its_size_is_told_later(self) -> None:
        async def test() -> None:
            async with desk() as d:
                with capture_logs() as lines:
                    for number in range(500):
                        d.commands.take("front", "threshold", b"x")
                        d.commands.take(f"nowhere{number}", "threshold", b"0.5")
                    await asyncio.sleep(61.0)
                    d.commands.take("front", "threshold", b"x")
                told = [line for line in lines if line["event"].startswith("command")]
                assert len(told) == MOST_LINES + 1
                (counted,) = [line for line in lines if line["event"].startswith("more of these")]
                assert counted["count"] == 1000 - MOST_LINES

        on_virtual_time(test)()
