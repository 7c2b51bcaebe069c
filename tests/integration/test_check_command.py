"""`edgewatch check` as an operator runs it: rows, cures, exit codes, and no secret anywhere."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.videos import write_video
from tests.integration.conftest import RtspServer
from tests.integration.mosquitto import free_port, mosquitto, need, password_file
from tests.integration.processes import Finished, daemon, finished, write_settings

pytestmark = pytest.mark.integration

SECRET = "hush-hush"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "a.mp4", width=160, height=120)


def camera(name: str, url: str | Path, **keys: Any) -> dict[str, Any]:
    return {"name": name, "url": str(url), **keys}


def secret_file(folder: Path, text: str = SECRET) -> str:
    file = folder / "secret"
    file.write_text(text)
    file.chmod(0o600)
    return str(file)


def listing(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def check(settings: Path) -> Finished:
    """Run it for machines; its document must be all there is on standard output."""
    ran = await finished("check", "--config", settings, "--json")
    assert ran.err == ""
    assert ran.document["schema"] == 1
    assert ran.document["ok"] == (ran.code == 0)
    for row in ran.document["checks"]:
        assert row.keys() == {"name", "subject", "status", "detail", "cure"}
        assert bool(row["cure"]) == (row["status"] != "ok")
    assert SECRET not in ran.out
    return ran


def row(ran: Finished, name: str, subject: str | None = None) -> dict[str, str]:
    """Return the one row of a name."""
    (found,) = (
        one
        for one in ran.document["checks"]
        if one["name"] == name and subject in (None, one["subject"])
    )
    assert isinstance(found, dict)
    return found


def not_ok(ran: Finished) -> list[tuple[str, str]]:
    return [(one["name"], one["status"]) for one in ran.document["checks"] if one["status"] != "ok"]


async def test_a_good_configuration_is_all_ok_and_leaves_no_trace(
    tmp_path: Path, video: Path
) -> None:
    settings = write_settings(
        tmp_path,
        broker_port=None,
        cameras=[camera("front", video), camera("off", "rtsp://10.0.0.9/", enabled=False)],
        sections={"mqtt": {"port": free_port()}, "engine": {"threshold": 0.5}},
    )
    before = listing(tmp_path)
    ran = await check(settings)
    assert (ran.code, [one for one in not_ok(ran) if one[0] != "disk"]) == (0, [])
    assert "h264 160x120" in row(ran, "camera", "front")["detail"]
    assert row(ran, "camera", "off")["detail"] == "switched off (enabled = false)"
    assert row(ran, "engine")["subject"] == "builtin-1"
    assert row(ran, "broker")["subject"].startswith("embedded, 127.0.0.1:")
    assert listing(tmp_path) == before


async def test_people_get_a_table_with_cures_and_a_sum(tmp_path: Path) -> None:
    settings = write_settings(
        tmp_path,
        broker_port=None,
        cameras=[camera("front", tmp_path / "absent.mp4")],
        sections={"mqtt": {"port": free_port()}, "engine": {"threshold": 0.5}},
    )
    ran = await finished("check", "--config", settings)
    assert ran.code == 1
    assert "-> Correct url; a relative path" in ran.out
    assert ran.out.splitlines()[-1].startswith("1 failed, ")
    assert ran.err == ""


async def test_each_thing_that_is_wrong_has_its_row_and_the_others_are_looked_at(
    tmp_path: Path, video: Path
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 100)
    settings = write_settings(
        tmp_path,
        broker_port=free_port(),
        cameras=[
            camera("good", video),
            camera("absent", tmp_path / "absent.mp4"),
            camera("text", text),
            camera(
                "closed",
                f"rtsp://boss@127.0.0.1:{free_port()}/live?token={SECRET}",
                password_file=secret_file(tmp_path),
            ),
        ],
        sections={"service": {"data_dir": str(video / "data")}, "engine": {"threshold": 0.5}},
    )
    ran = await check(settings)
    assert ran.code == 1
    assert [one for one in not_ok(ran) if one[0] != "disk"] == [
        ("data_dir", "fail"),
        ("broker", "fail"),
        ("camera", "fail"),
        ("camera", "fail"),
        ("camera", "fail"),
    ]
    assert "Connection refused" in row(ran, "broker")["detail"]
    assert row(ran, "broker")["cure"].startswith("Check that it runs")
    assert row(ran, "camera", "good")["status"] == "ok"
    assert "does not exist" in row(ran, "camera", "absent")["detail"]
    assert "is no video" in row(ran, "camera", "text")["detail"]
    assert "cannot be reached" in row(ran, "camera", "closed")["detail"]
    assert row(ran, "data_dir")["cure"] == "Correct service.data_dir."


async def test_a_brokers_refusal_is_told_without_the_password(tmp_path: Path) -> None:
    passwords = password_file(tmp_path, "watcher", SECRET)
    lines = ("allow_anonymous false", f"password_file {passwords}")
    async with mosquitto(tmp_path, settings=lines) as broker:
        for word, status in ((SECRET, "ok"), (f"not-{SECRET}", "fail")):
            login = {"username": "watcher", "password_file": secret_file(tmp_path, word)}
            settings = write_settings(
                tmp_path, broker_port=broker.port, sections={"mqtt": login}
            )  # fmt: skip
            ran = await check(settings)
            found = row(ran, "broker")
            assert (ran.code, found["status"]) == (int(status == "fail"), status)
    assert found["detail"] == f"the broker at 127.0.0.1:{broker.port} refused 'watcher'"
    assert found["cure"] == "Check username and password_file in [mqtt]."


async def test_an_authority_that_is_not_trusted_is_told(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    making = await asyncio.create_subprocess_exec(
        *(need("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-keyout", str(key), "-out", str(cert), "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=IP:127.0.0.1"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await making.communicate()
    assert making.returncode == 0, complaint
    lines = ("allow_anonymous true", f"certfile {cert}", f"keyfile {key}")
    async with mosquitto(tmp_path, settings=lines) as broker:
        for trust, status in (({"ca_file": str(cert)}, "ok"), ({}, "fail")):
            settings = write_settings(
                tmp_path, broker_port=broker.port, sections={"mqtt": {"tls": True, **trust}}
            )
            found = row(await check(settings), "broker")
            assert found["status"] == status
    assert "certificate verify failed" in found["detail"]
    assert "ca_file" in found["cure"]


async def test_tls_to_a_broker_without_it_is_told(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker:
        settings = write_settings(
            tmp_path, broker_port=broker.port, sections={"mqtt": {"tls": True}}
        )
        found = row(await check(settings), "broker")
    assert found["status"] == "fail"
    assert "tls" in found["cure"]


async def test_a_port_that_another_program_has_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = write_settings(tmp_path, broker_port=None, sections={"mqtt": {"port": port}})
        ran = await check(settings)
    found = row(ran, "broker")
    assert (ran.code, found["status"]) == (1, "fail")
    assert (
        found["detail"] == f"port {port} on 127.0.0.1 is in use, perhaps by another broker"
    )  # fmt: skip
    assert found["cure"] == (
        'To use that one set mqtt.host = "127.0.0.1"; else choose another mqtt.port.'
    )


async def test_beside_a_running_daemon_it_asks_that_one(tmp_path: Path, video: Path) -> None:
    settings = write_settings(
        tmp_path,
        broker_port=None,
        cameras=[camera("front", video, loop=True)],
        sections={"mqtt": {"port": free_port()}, "engine": {"threshold": 0.5}},
    )
    async with daemon(settings) as running:
        ran = await check(settings)
        assert ran.code == 0
        found = row(ran, "daemon")
        assert (found["status"], found["subject"]) == ("ok", f"process {running.pid}")
        assert "clips judged by builtin-1" in found["detail"]
        assert row(ran, "broker")["status"] == "ok"
        assert row(ran, "records")["status"] == "ok"
        assert await running.stop() == 0


async def test_a_wrong_password_of_a_camera_is_told_without_it(
    tmp_path: Path, rtsp_server: RtspServer
) -> None:
    settings = write_settings(
        tmp_path,
        broker_port=None,
        cameras=[
            camera(
                "front",
                rtsp_server.url(login=rtsp_server.user),
                password_file=secret_file(tmp_path, f"{SECRET}-not"),
            )
        ],
        sections={"mqtt": {"port": free_port()}},
    )
    ran = await check(settings)
    found = row(ran, "camera", "front")
    assert (ran.code, found["status"]) == (1, "fail")
    assert "refused the login" in found["detail"]
    assert found["cure"] == "Correct the user in url and the secret in password_file."


async def test_a_live_camera_shows_its_first_picture(
    tmp_path: Path, rtsp_server: RtspServer
) -> None:
    login = {"password_file": secret_file(tmp_path, rtsp_server.password)}
    settings = write_settings(
        tmp_path,
        broker_port=None,
        cameras=[camera("front", rtsp_server.url(login=rtsp_server.user), **login)],
        sections={"mqtt": {"port": free_port()}},
    )
    found = row(await check(settings), "camera", "front")
    assert found["status"] == "ok"
    assert found["detail"].startswith(f"rtsp://127.0.0.1:{rtsp_server.port}/live: h264 ")
    assert "first picture after" in found["detail"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[mqtt]\nprot = 1883\n", 'Did you mean "port"?'),
        ("[mqtt\n", "is not valid TOML"),
        ('[[cameras]]\nname = "a"\nurl = "rtsp://u:hush-hush@h/"\n', "holds a password"),
    ],
)
async def test_wrong_settings_end_with_78_and_are_told_on_both_outlets(
    tmp_path: Path, text: str, told: str
) -> None:
    settings = tmp_path / "edgewatch.toml"
    settings.write_text(text)
    ran = await finished("check", "--config", settings, "--json")
    assert ran.code == 78
    assert told in ran.err
    (found,) = ran.document["checks"]
    assert ran.document["ok"] is False
    assert (found["name"], found["status"]) == ("settings", "fail")
    assert told in json.dumps(found, ensure_ascii=False).replace('\\"', '"')
    assert SECRET not in ran.out + ran.err
    for_people = await finished("check", "--config", settings)
    assert (for_people.code, for_people.out) == (78, "")


async def test_settings_that_cannot_be_read_end_with_78(tmp_path: Path) -> None:
    ran = await finished("check", "--config", tmp_path)
    assert ran.code == 78
    assert "cannot be read (Is a directory)" in ran.err
    absent = await finished("check", "--config", tmp_path / "absent.toml")
    assert absent.code == 78
    assert "does not exist" in absent.err


async def test_the_help_teaches() -> None:
    ran = await finished("check", "--help")
    assert ran.code == 0
    for word in ("--json", "exit codes: 0", "78", "sudo -u edgewatch", "examples:"):
        assert word in ran.out
