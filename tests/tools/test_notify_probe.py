"""What `edgewatch check` says of webhook and push server, without an alert."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from aiohttp import web

from edgewatch.config.settings import Settings, load_settings
from edgewatch.tools.findings import Finding
from edgewatch.tools.notify_probe import notify_findings
from tests.fakes.receiver import receiver

PATH = "/hooks/hunter2"


def read(folder: Path, **keys: str) -> Settings:
    file = folder / "edgewatch.toml"
    file.write_text("[notify]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items()))
    return load_settings(file, environ={})


async def found(folder: Path, **keys: str) -> Finding:
    (finding,) = await notify_findings(read(folder, **keys))
    assert "hunter2" not in str(finding)
    return finding


async def test_without_a_way_there_is_no_row(tmp_path: Path) -> None:
    assert await notify_findings(read(tmp_path)) == []


async def test_a_webhook_is_connected_to_and_asked_nothing(tmp_path: Path) -> None:
    async with receiver() as other:
        finding = await found(tmp_path, webhook_url=other.url(PATH))
        assert (finding.name, finding.status) == ("webhook", "ok")
        assert finding.subject == f"http://127.0.0.1:{other.port}"
        assert "not signed" in finding.detail
    assert other.got == []


async def test_a_webhook_that_is_not_there_fails(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    finding = await found(tmp_path, webhook_url=f"http://127.0.0.1:{port}{PATH}")
    assert (finding.status, finding.detail) == ("fail", "cannot be reached")
    assert finding.cure.startswith("Check that it runs")


async def test_a_name_that_is_none_fails(tmp_path: Path) -> None:
    finding = await found(tmp_path, webhook_url=f"https://no-such-host.invalid{PATH}")
    assert (finding.status, finding.detail) == ("fail", "cannot be looked up")


async def test_what_speaks_no_tls_fails(tmp_path: Path) -> None:
    async with receiver() as other:
        finding = await found(tmp_path, webhook_url=f"https://127.0.0.1:{other.port}{PATH}")
    assert finding.status == "fail"
    assert "TLS" in finding.detail


async def test_a_ca_file_that_is_none_fails(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    finding = await found(tmp_path, webhook_url=f"https://127.0.0.1:1{PATH}", ca_file="ca.pem")
    assert finding.status == "fail"
    assert "Check ca_file" in finding.cure


async def test_a_push_server_says_that_it_is_well(tmp_path: Path) -> None:
    async def well(request: web.Request) -> web.Response:
        return web.json_response({"healthy": True})

    app = web.Application()
    app.router.add_get("/push/v1/health", well)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        port = runner.addresses[0][1]
        finding = await found(tmp_path, ntfy_url=f"http://127.0.0.1:{port}/push/hunter2")
        assert (finding.name, finding.status) == ("ntfy", "ok")
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [200, 404])
async def test_what_is_no_push_server_is_warned_of(tmp_path: Path, status: int) -> None:
    async with receiver() as other:
        other.answer = lambda number, body: status
        finding = await found(tmp_path, ntfy_url=other.url("/hunter2"))
    assert (finding.name, finding.status) == ("ntfy", "warn")
    assert [one.method for one in other.got] == ["GET"]
