"""The server's life: a port that is taken, too many connections, slow clients, and a quick stop."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from edgewatch.daemon.web.live import Live
from edgewatch.daemon.web.server import MOST_CONNECTIONS, WebServer, application, kept_going
from tests.daemon.web.core import Core, core, settings_for
from tests.patience import until

LIMIT_SECONDS = 10.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def server_of(served: Core, port: int, *, body_seconds: float = 10.0) -> WebServer:
    app = application(served.context, Live(served.context), body_seconds=body_seconds)
    return WebServer(app, host="127.0.0.1", port=port)


async def stopped(task: asyncio.Task[None]) -> float:
    """Cancel a running server; returns how long its end took."""
    began_seconds = time.monotonic()
    task.cancel()
    await asyncio.wait({task}, timeout=LIMIT_SECONDS)
    assert task.done()
    return time.monotonic() - began_seconds


async def test_a_port_that_is_taken_is_said_and_ends_nothing(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        with socket.socket() as other, capture_logs() as logs:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            task = asyncio.create_task(server_of(served, port).run())
            await until(lambda: any(line["event"] == "no page" for line in logs))
            assert not task.done()
            await stopped(task)
        (line,) = [line for line in logs if line["event"] == "no page"]
        assert line["port"] == port
        assert "web.port" in line["cure"]


async def test_an_open_stream_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        port = free_port()
        server = server_of(served, port)
        task = asyncio.create_task(server.run())
        await server.listening.wait()
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/live?view=status") as stream,
        ):
            assert stream.status == 200
            assert await stream.content.readany()
            assert await stopped(task) < 2.0
            with pytest.raises(aiohttp.ClientPayloadError):  # it was ended, not left open
                await stream.content.read()


async def test_a_request_in_hand_is_cut_off_at_the_stop(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        port = free_port()
        server = server_of(served, port)
        task = asyncio.create_task(server.run())
        await server.listening.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken="
        )
        await writer.drain()
        assert await stopped(task) < 3.0
        async with asyncio.timeout(LIMIT_SECONDS):
            await reader.read()
        writer.close()


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        port = free_port()
        server = server_of(served, port, body_seconds=0.1)
        task = asyncio.create_task(server.run())
        await server.listening.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken="
        )
        async with asyncio.timeout(LIMIT_SECONDS):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        writer.close()
        await stopped(task)


async def test_too_many_connections_are_turned_away(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        port = free_port()
        server = server_of(served, port)
        task = asyncio.create_task(server.run())
        await server.listening.wait()
        writers = []
        for _ in range(MOST_CONNECTIONS):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:  # until the last of them was taken in
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writers.append(writer)
                try:
                    async with asyncio.timeout(0.2):
                        answer = await reader.read()
                        break
                except TimeoutError:
                    continue
        assert answer.startswith(b"HTTP/1.1 503 ")
        for writer in writers:
            writer.close()
        assert await stopped(task) < 3.0


async def test_a_fault_of_the_page_ends_nothing_else() -> None:
    calls = 0

    async def fail() -> None:
        nonlocal calls
        calls += 1
        raise ValueError("of the page")

    with capture_logs() as logs:
        task = asyncio.create_task(kept_going(fail, "live"))
        await until(lambda: calls > 0)
        assert not task.done()
        await stopped(task)
    assert logs[0]["event"] == "page fault"
