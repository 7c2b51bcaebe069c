"""Webhooks out of a real outbox, to a real server."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edgewatch.pipeline.backlog import MQTT
from edgewatch.pipeline.mqtt_link import Backoff
from edgewatch.pipeline.notify.drain import WayDrain, forget
from edgewatch.pipeline.notify.notices import WEBHOOK, Notices
from edgewatch.pipeline.notify.trouble import Shut, TryAgain
from edgewatch.pipeline.notify.webhook import Webhook
from edgewatch.pipeline.store_thread import StoreThread
from edgewatch.pipeline.types import CameraName
from tests.fakes.clock import ManualClock
from tests.fakes.events import make_event, make_message
from tests.fakes.receiver import Receiver, receiver
from tests.patience import until

QUICK = Backoff(first_seconds=0.01, most_seconds=0.05)
SECRET = "the key of this test"
PATH = "/hooks/hunter2"
NOTICES = Notices(ways=(WEBHOOK,))


@asynccontextmanager
async def store(path: Path | None = None) -> AsyncIterator[StoreThread]:
    opened = StoreThread(path)
    await opened.start()
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def draining(
    outbox: StoreThread,
    url: str,
    *,
    clock: ManualClock | None = None,
    secret: str | None = SECRET,
    request_seconds: float = 5.0,
) -> AsyncIterator[WayDrain]:
    """Drain to a webhook as long as the block lasts; then stop it."""
    clock = clock or ManualClock(wall_seconds=time.time())
    way = Webhook(url, secret=secret, ca_file=None, clock=clock, request_seconds=request_seconds)
    drain = WayDrain(way, outbox, clock=clock, give_up_seconds=3600.0, backoff=QUICK)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(drain.run())
        try:
            yield drain
        finally:
            drain.stop(1.0)


async def accept(outbox: StoreThread, *event_ids: str, camera: str = "front") -> None:
    """Have new events accepted, for MQTT and webhook."""
    for event_id in event_ids:
        event = make_event(event_id, camera=CameraName(camera))
        await outbox.save_event(event, [make_message(event), *NOTICES.messages(event)])


async def emptied(outbox: StoreThread) -> None:
    async def empty() -> bool:
        return await outbox.outbox_size(WEBHOOK) == 0

    await until(empty)


async def until_trouble(drain: WayDrain) -> str:
    await until(lambda: bool(drain.status().trouble))
    return drain.status().trouble


def ids(other: Receiver) -> list[str]:
    return [json.loads(one.body)["event_id"] for one in other.taken]


class TestDelivery:
    async def test_a_message_is_signed_and_named(self) -> None:
        async with receiver() as other, store() as outbox, draining(outbox, other.url(PATH)):
            await accept(outbox, "e1")
            await other.until(lambda: len(other.got) == 1)
            await emptied(outbox)
        (got,) = other.got
        assert (got.method, got.path) == ("POST", PATH)
        assert got.headers["content-type"] == "application/json"
        assert got.headers["x-edgewatch-delivery"] == "e1/new/1"
        # As docs/notify.md tells a receiver to: over the body as it came.
        timestamp = got.headers["x-edgewatch-timestamp"]
        assert abs(int(timestamp) - time.time()) < 60
        signed = timestamp.encode() + b"." + got.body
        expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert got.headers["x-edgewatch-signature"] == f"sha256={expected}"

    async def test_without_a_secret_nothing_is_signed(self) -> None:
        async with (
            receiver() as other,
            store() as outbox,
            draining(outbox, other.url(), secret=None),
        ):
            await accept(outbox, "e1")
            await other.until(lambda: len(other.got) == 1)
        assert "x-edgewatch-signature" not in other.got[0].headers

    async def test_each_attempt_is_signed_anew_under_the_same_name(self) -> None:
        async with receiver() as other, store() as outbox:
            other.answer = lambda number, body: 500 if number == 0 else 200
            clock = ManualClock(wall_seconds=time.time())
            async with draining(outbox, other.url(), clock=clock):
                await accept(outbox, "e1")
                await other.until(lambda: len(other.got) == 1)
                clock.advance(2.0)
                await other.until(lambda: len(other.taken) == 1)
        first, second = other.got
        assert first.headers["x-edgewatch-delivery"] == second.headers["x-edgewatch-delivery"]
        assert first.body == second.body

    async def test_messages_of_a_camera_come_in_order_whatever_fails(self) -> None:
        names = [f"e{number:02}" for number in range(60)]
        async with receiver() as other, store() as outbox:
            other.answer = lambda number, body: 500 if number % 3 == 1 else 204
            async with draining(outbox, other.url()):
                await accept(outbox, *names)
                await emptied(outbox)
        assert ids(other) == names, "in order, none lost, none twice"

    async def test_cameras_do_not_wait_for_each_other(self) -> None:
        async with receiver() as other, store() as outbox:
            other.hold = True
            async with draining(outbox, other.url()):
                for camera in ("front", "back", "side"):
                    await accept(outbox, f"{camera}-1", f"{camera}-2", camera=camera)
                await other.until(lambda: other.held >= 2)
                other.let_go()
                await emptied(outbox)
        for camera in ("front", "back", "side"):
            assert [one for one in ids(other) if one.startswith(camera)] == [
                f"{camera}-1",
                f"{camera}-2",
            ]

    async def test_mqtt_and_webhook_each_have_their_own_channel(self) -> None:
        async with receiver() as other, store() as outbox:
            other.answer = lambda number, body: 503
            async with draining(outbox, other.url()) as drain:
                await accept(outbox, "e1")
                await until_trouble(drain)
                (row,) = await outbox.outbox_head(10)
                assert (row.channel, row.payload) == (MQTT, b"e1/1")
                await outbox.outbox_delete([row.row_id])
                assert await outbox.outbox_size(WEBHOOK) == 1


class TestTrouble:
    async def test_a_receiver_that_is_not_there_yet_gets_all_in_the_end(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        async with (
            store() as outbox,
            draining(outbox, f"http://127.0.0.1:{port}{PATH}") as drain,
        ):
            await accept(outbox, "e1", "e2")
            trouble = await until_trouble(drain)
            assert f"http://127.0.0.1:{port} cannot be reached" in trouble
            async with receiver(port=port) as other:
                await emptied(outbox)
                assert ids(other) == ["e1", "e2"]
            assert drain.status().trouble == ""
            assert drain.status().delivered == 2

    async def test_a_receiver_that_does_not_answer_is_tried_again(self) -> None:
        async with receiver() as other, store() as outbox:
            other.hold = True
            async with draining(outbox, other.url(), request_seconds=0.05) as drain:
                await accept(outbox, "e1")
                assert "did not answer in time" in await until_trouble(drain)
                other.let_go()
                await emptied(outbox)
                assert ids(other)[-1] == "e1"

    @pytest.mark.parametrize(
        ("status", "told", "shut"),
        [
            (401, "does not let us in (401); check webhook_secret_file in [notify]", True),
            (403, "does not let us in (403)", True),
            (404, "has nothing at this address (404); check webhook_url in [notify]", True),
            (410, "has nothing at this address (410)", True),
            (302, "a redirect, which is not followed; set webhook_url", True),
            (308, "a redirect, which is not followed", True),
            (429, "is busy (429)", False),
            (503, "has a fault (503)", False),
        ],
    )
    async def test_what_is_wrong_is_told_with_its_cure_and_nothing_is_lost(
        self, status: int, told: str, shut: bool
    ) -> None:
        async with receiver() as elsewhere, receiver() as other, store() as outbox:
            other.answer = lambda number, body: (status, {"Location": elsewhere.url("/x")})
            async with draining(outbox, other.url(PATH)) as drain:
                await accept(outbox, "e1")
                assert told in await until_trouble(drain)
                assert drain.status().shut is shut
                assert await outbox.outbox_size(WEBHOOK) == 1
                other.answer = lambda number, body: 200
                await emptied(outbox)
            assert ids(other) == ["e1"]
            assert elsewhere.got == [], "no secret follows a redirect"

    async def test_a_busy_receiver_says_how_long_to_wait(self) -> None:
        async with receiver() as other, store() as outbox:
            other.answer = lambda number, body: (
                (429, {"Retry-After": "0.3"}) if number == 0 else (200, {})
            )
            async with draining(outbox, other.url()):
                began_seconds = time.monotonic()
                await accept(outbox, "e1")
                await other.until(lambda: len(other.taken) == 1)
                assert time.monotonic() - began_seconds >= 0.3

    async def test_a_message_that_is_refused_holds_up_no_other(self) -> None:
        async with receiver() as other, store() as outbox:
            other.answer = lambda number, body: 422 if b"e1" in body else 200
            async with draining(outbox, other.url()) as drain:
                await accept(outbox, "e1", "e2")
                await emptied(outbox)
                assert ids(other) == ["e2"]
                assert (drain.status().refused, drain.status().delivered) == (1, 1)

    async def test_what_is_too_old_is_given_up_and_counted(self) -> None:
        async with receiver() as other, store() as outbox:
            other.answer = lambda number, body: 503
            clock = ManualClock(wall_seconds=time.time())
            async with draining(outbox, other.url(), clock=clock) as drain:
                await accept(outbox, *(f"e{number}" for number in range(50)))
                await until_trouble(drain)
                assert drain.status().given_up == 0
                clock.advance(3700.0)
                await emptied(outbox)
                assert drain.status().given_up == 50
                assert await outbox.outbox_size() == 50, "MQTT's are not touched"

    async def test_no_text_shows_where_the_secret_is(self) -> None:
        with capture_logs() as logs:
            async with receiver() as other, store() as outbox:
                for status in (500, 404, 302, 422):
                    other.answer = lambda number, body, status=status: status  # type: ignore[misc]
                    async with draining(outbox, other.url(PATH)) as drain:
                        await accept(outbox, f"e{status}")
                        if status == 422:
                            await emptied(outbox)
                        else:
                            await until_trouble(drain)
                        shown = f"{drain.status()!r} {vars(drain)} {drain.status().trouble}"
                        assert "hunter2" not in shown
                rows = await outbox.outbox_head(100, WEBHOOK)
                assert b"hunter2" not in b"".join(row.payload for row in rows)
        assert logs
        assert "hunter2" not in str(logs)
        assert SECRET not in str(logs)

    async def test_trouble_is_said_once_and_its_end_too(self) -> None:
        with capture_logs() as logs:
            async with receiver() as other, store() as outbox:
                other.answer = lambda number, body: 503 if number < 5 else 200
                async with draining(outbox, other.url()):
                    await accept(outbox, "e1")
                    await emptied(outbox)
        said = [one["event"] for one in logs if one["log_level"] != "debug"]
        assert said.count("alerts not delivered") == 1
        assert said.count("alerts are delivered again") == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that it signed itself, with its key in the same file."""
    folder = tmp_path_factory.mktemp("certificate")
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is missing: apt install openssl")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return both


class TestTls:
    @pytest.mark.parametrize("trusted", [False, True])
    async def test_only_a_certificate_that_is_trusted_is_sent_to(
        self, certificate: Path, trusted: bool
    ) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
        async with receiver(tls=tls) as other:
            way = Webhook(
                other.url(PATH).replace("http:", "https:"),
                secret=SECRET,
                ca_file=certificate if trusted else None,
                clock=ManualClock(),
            )
            if trusted:
                await way.deliver(b'{"event_id": "e1", "type": "new", "revision": 1}')
            else:
                with pytest.raises(TryAgain, match="not trusted; check ca_file") as error:
                    await way.deliver(b'{"event_id": "e1", "type": "new", "revision": 1}')
                assert "hunter2" not in str(error.value)
            await way.close()
        assert len(other.got) == trusted

    async def test_a_ca_file_without_certificates_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("nothing")
        way = Webhook(
            f"https://127.0.0.1:1{PATH}",
            secret=None,
            ca_file=tmp_path / "ca.pem",
            clock=ManualClock(),
        )
        with pytest.raises(Shut, match=r"ca\.pem cannot be used"):
            await way.deliver(b'{"event_id": "e1", "type": "new", "revision": 1}')


class TestEnds:
    async def test_what_waits_at_a_stop_is_sent(self) -> None:
        async with receiver() as other, store() as outbox:
            async with draining(outbox, other.url()):
                await accept(outbox, "e1", "e2", "e3")
            assert ids(other) == ["e1", "e2", "e3"]
            assert await outbox.outbox_size(WEBHOOK) == 0

    async def test_a_stop_waits_no_longer_than_it_may(self) -> None:
        async with receiver() as other, store() as outbox:
            other.hold = True
            async with draining(outbox, other.url(), request_seconds=60.0):
                await accept(outbox, "e1")
                await other.until(lambda: other.held == 1)
                began_seconds = time.monotonic()
            assert time.monotonic() - began_seconds < 3.0
            assert await outbox.outbox_size(WEBHOOK) == 1

    async def test_what_was_not_sent_survives_on_disk(self, tmp_path: Path) -> None:
        path = tmp_path / "edgewatch.db"
        async with receiver() as other:
            other.answer = lambda number, body: 503
            async with store(path) as outbox, draining(outbox, other.url()) as drain:
                await accept(outbox, "e1", "e2")
                await until_trouble(drain)
            other.answer = lambda number, body: 200
            async with store(path) as outbox, draining(outbox, other.url()):
                await accept(outbox, "e3")
                await emptied(outbox)
            assert ids(other) == ["e1", "e2", "e3"]

    async def test_what_waits_for_a_way_that_is_gone_is_dropped(self) -> None:
        async with store() as outbox:
            await accept(outbox, "e1", "e2")
            await forget(outbox, WEBHOOK)
            assert await outbox.outbox_size(WEBHOOK) == 0
            assert await outbox.outbox_size() == 2

    async def test_a_row_that_is_no_message_is_dropped(self) -> None:
        async with receiver() as other, store() as outbox:
            event = make_event("e1")
            (message,) = NOTICES.messages(event)
            await outbox.save_event(event, [replace(message, payload=b"\xff")])
            async with draining(outbox, other.url()) as drain:
                await emptied(outbox)
                assert drain.status().refused == 1
