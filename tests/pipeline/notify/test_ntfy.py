"""Push messages, as an ntfy server gets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.header import decode_header, make_header
from pathlib import Path

import pytest

from edgewatch.pipeline.notify.notices import NTFY, Notices
from edgewatch.pipeline.notify.ntfy import Ntfy, header_text
from edgewatch.pipeline.notify.trouble import MessageRefused, Shut
from edgewatch.pipeline.types import Event
from tests.fakes.events import make_event
from tests.fakes.receiver import Receiver, receiver

EVENT = "019aa7b2-5f00-7000-8000-00000000000a"
JPEG = b"\xff\xd8" + bytes(range(256)) * 4 + b"\xff\xd9"
NEW = replace(make_event(EVENT), thumbnail=f"front/{EVENT}.jpg")
END = replace(
    make_event(EVENT, end_seconds=1_030.0), description="Ein Auto brennt, größer als zuvor"
)
NOTICES = Notices(ways=(NTFY,), public_url="https://box.example.org", push_end=True)


@asynccontextmanager
async def pushing(
    other: Receiver, evidence: Path, *, token: str | None = None
) -> AsyncIterator[Ntfy]:
    way = Ntfy(other.url("/cameras"), token=token, ca_file=None, evidence=evidence)
    try:
        yield way
    finally:
        await way.close()


def payload(event: Event) -> bytes:
    (message,) = NOTICES.messages(event)
    return message.payload


def picture(evidence: Path, content: bytes = JPEG) -> None:
    (evidence / "front").mkdir(exist_ok=True)
    (evidence / "front" / f"{EVENT}.jpg").write_bytes(content)


async def test_the_thumbnail_is_attached_and_the_words_stand_in_headers(tmp_path: Path) -> None:
    picture(tmp_path)
    async with receiver() as other, pushing(other, tmp_path, token="tk_hunter2") as way:
        await way.deliver(payload(NEW))
    (got,) = other.got
    assert (got.method, got.path, got.body) == ("PUT", "/cameras", JPEG)
    assert got.headers["title"] == "front: anomaly"
    assert got.headers["message"].startswith("score 0.90 (threshold 0.50), since ")
    assert got.headers["priority"] == "4"
    assert got.headers["tags"] == "rotating_light,front"
    assert got.headers["click"] == f"https://box.example.org/events/{EVENT}"
    assert got.headers["filename"] == f"{EVENT}.jpg"
    assert got.headers["authorization"] == "Bearer tk_hunter2"


async def test_without_a_thumbnail_the_message_is_the_body(tmp_path: Path) -> None:
    async with receiver() as other, pushing(other, tmp_path) as way:
        await way.deliver(payload(END))
    (got,) = other.got
    assert got.body.decode().splitlines()[0] == "Ein Auto brennt, größer als zuvor"
    assert "filename" not in got.headers
    assert "authorization" not in got.headers


async def test_a_thumbnail_that_is_still_being_written_is_waited_for(tmp_path: Path) -> None:
    picture(tmp_path, JPEG[:100])
    async with receiver() as other, pushing(other, tmp_path) as way:
        sending = asyncio.create_task(way.deliver(payload(NEW)))
        await asyncio.sleep(0)
        picture(tmp_path)
        await sending
    assert other.got[0].body == JPEG


async def test_a_thumbnail_that_never_comes_holds_no_alert_up(tmp_path: Path) -> None:
    async with receiver() as other, pushing(other, tmp_path) as way:
        async with asyncio.timeout(5.0):
            await way.deliver(payload(NEW))
    assert other.got[0].body.startswith(b"score 0.90")


@pytest.mark.parametrize("status", [400, 413])
async def test_a_server_that_takes_no_attachments_gets_the_text(
    tmp_path: Path, status: int
) -> None:
    picture(tmp_path)
    async with receiver() as other, pushing(other, tmp_path) as way:
        other.answer = lambda number, body: status if body == JPEG else 200
        await way.deliver(payload(NEW))
    assert [one.status for one in other.got] == [status, 200]
    assert "message" not in other.got[1].headers


async def test_trouble_names_the_settings_of_ntfy_and_no_topic(tmp_path: Path) -> None:
    async with receiver() as other, pushing(other, tmp_path) as way:
        for status, told in ((403, "ntfy_token_file"), (404, "ntfy_url")):
            other.answer = lambda number, body, status=status: status  # type: ignore[misc]
            with pytest.raises(Shut, match=told) as error:
                await way.deliver(payload(END))
            assert "cameras" not in str(error.value)


async def test_what_is_no_message_is_refused(tmp_path: Path) -> None:
    async with receiver() as other, pushing(other, tmp_path) as way:
        with pytest.raises(MessageRefused):
            await way.deliver(b"\xff")
    assert other.got == []


@pytest.mark.parametrize("text", ["plain", "größer", "日本", "🔥 fire"])
def test_text_in_a_header_can_be_read_back(text: str) -> None:
    value = header_text(text)
    assert value.isascii()
    assert str(make_header(decode_header(value))) == text


def test_no_text_makes_a_header_of_its_own() -> None:
    assert "\r" not in header_text("a\r\nX-Evil: 1")
    assert "\n" not in header_text("a\r\nX-Evil: 1")
    assert header_text("half \udcff").isascii()
