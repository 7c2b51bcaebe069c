"""Evidence over HTTP: by an event's id alone, and never anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.daemon.web.files import file_below, is_event_id
from edgewatch.pipeline.types import CameraName, EvidenceRow
from tests.daemon.web.core import Core, core, settings_for
from tests.daemon.web.test_security import raw
from tests.fakes.events import make_event

EVENT = "019aa7b2-5f00-7000-8000-00000000000a"
OTHER = "019aa7b2-5f00-7000-8000-00000000000b"
VIDEO = bytes(range(256)) * 40


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Core]:
    """A page with the evidence of one event, and a secret beside the folder of evidence."""
    folder = tmp_path / "data" / "evidence" / "front" / "2026-11-21"
    folder.mkdir(parents=True)
    (folder / f"{EVENT}.mp4").write_bytes(VIDEO)
    (folder / f"{EVENT}.jpg").write_bytes(b"\xff\xd8picture\xff\xd9")
    (folder / f"{EVENT}.json").write_text('{"schema": 1}')
    (tmp_path / "data" / "secret.mp4").write_text("secret")
    async with core(settings_for(tmp_path)) as one:
        await keep(one, EVENT)
        yield one


async def keep(served: Core, event_id: str, folder: str = "front/2026-11-21") -> None:
    row = EvidenceRow(event_id, CameraName("front"), "ready", "", folder, 10, 1.0)
    await served.pipeline.store.save_evidence(row)


async def test_files_come_with_their_type_and_are_asked_for_anew(served: Core) -> None:
    for kind, content_type in (
        ("mp4", "video/mp4"),
        ("jpg", "image/jpeg"),
        ("json", "application/json"),
    ):
        answer = await served.ask("GET", f"/evidence/{EVENT}.{kind}")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == content_type
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert f'filename="front-{EVENT}.{kind}"' in answer.headers["Content-Disposition"]
    assert (await (await served.ask("GET", f"/evidence/{EVENT}.mp4")).read()) == VIDEO


async def test_a_video_can_be_wound_forward(served: Core) -> None:
    answer = await served.ask("GET", f"/evidence/{EVENT}.mp4", headers={"Range": "bytes=1000-1999"})
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes 1000-1999/{len(VIDEO)}"
    assert await answer.read() == VIDEO[1000:2000]
    beyond = {"Range": f"bytes={len(VIDEO)}-"}
    answer = await served.ask("GET", f"/evidence/{EVENT}.mp4", headers=beyond)
    assert answer.status == 416


async def test_what_has_not_changed_is_not_sent_again(served: Core) -> None:
    path = f"/evidence/{EVENT}.mp4"
    tag = (await served.ask("GET", path)).headers["ETag"]
    answer = await served.ask("GET", path, headers={"If-None-Match": tag})
    assert answer.status == 304
    assert await answer.read() == b""


@pytest.mark.parametrize(
    ("state", "detail", "told"),
    [
        ("recording", "", "still being recorded"),
        ("failed", "the disk was full", "the disk was full"),
        ("ready", "", "gone by now"),
    ],
)
async def test_why_there_is_no_file_is_told(
    served: Core, state: str, detail: str, told: str
) -> None:
    row = EvidenceRow(OTHER, CameraName("front"), state, detail, "front/2026-11-20", 0, 1.0)  # type: ignore[arg-type]
    await served.pipeline.store.save_evidence(row)
    answer = await served.ask("GET", f"/evidence/{OTHER}.mp4")
    assert answer.status == 404
    assert told in await answer.text()


async def test_evidence_that_quota_or_age_took_is_gone_and_its_event_is_not(served: Core) -> None:
    paths = {"video": f"front/2026-11-20/{OTHER}.mp4", "thumbnail": f"front/2026-11-20/{OTHER}.jpg"}
    await served.pipeline.store.save_event(
        replace(make_event(OTHER, 1.0, end_seconds=20.0), **paths)  # type: ignore[arg-type]
    )
    for kind in ("mp4", "jpg", "json"):
        answer = await served.ask("GET", f"/evidence/{OTHER}.{kind}")
        assert answer.status == 410
        assert "evidence of this event is gone" in await answer.text()
    page = await (await served.ask("GET", f"/events/{OTHER}")).text()
    assert "The video of this event is gone" in page
    assert "<video" not in page
    never = make_event(OTHER[:-1] + "c", 1.0, end_seconds=20.0)  # nothing was kept of it
    await served.pipeline.store.save_event(never)
    assert (await served.ask("GET", f"/evidence/{never.event_id}.mp4")).status == 404
    page = await (await served.ask("GET", f"/events/{never.event_id}")).text()
    assert "No video was kept of this event" in page


@pytest.mark.parametrize(
    "path",
    [
        f"/evidence/{OTHER}.mp4",
        f"/evidence/{EVENT.upper()}.mp4",
        f"/evidence/{EVENT.replace('-', '')}.mp4",
        f"/evidence/{EVENT}.db",
        f"/evidence/{EVENT}.mp4.part",
        f"/evidence/{EVENT}",
        "/evidence/../secret.mp4",
        "/evidence/..%2fsecret.mp4",
        "/evidence/%2e%2e/secret.mp4",
        f"/evidence/front/2026-11-21/{EVENT}.mp4",
        f"/evidence/front%2f2026-11-21%2f{EVENT}.mp4",
        "/evidence//etc/passwd",
        f"/evidence/{EVENT}%00.mp4",
        "/evidence/",
        "/evidence",
    ],
)
async def test_nothing_else_is_served(served: Core, path: str) -> None:
    _, status, body = await raw(served, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status in (400, 404)
    assert b"secret" not in body
    assert b"root:" not in body


@pytest.mark.parametrize("folder", ["..", "../..", "/etc", "front/../../..", "front\x00"])
async def test_a_row_that_points_elsewhere_leads_nowhere(
    served: Core, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "data" / f"{OTHER}.mp4").write_text("secret")
    (tmp_path / f"{OTHER}.mp4").write_text("secret")
    await keep(served, OTHER, folder)
    answer = await served.ask("GET", f"/evidence/{OTHER}.mp4")
    assert answer.status == 404


async def test_a_link_leads_not_out(served: Core, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "evidence" / "front" / "2026-11-21"
    (folder / f"{OTHER}.mp4").symlink_to(tmp_path / "data" / "secret.mp4")
    await keep(served, OTHER)
    assert (await served.ask("GET", f"/evidence/{OTHER}.mp4")).status == 404
    (tmp_path / "data" / "evidence" / "back").symlink_to(tmp_path / "data")
    (tmp_path / "data" / f"{OTHER}.jpg").write_text("secret")
    await keep(served, OTHER, "back")
    assert (await served.ask("GET", f"/evidence/{OTHER}.jpg")).status == 404


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.mp4").write_text("x")
    (tmp_path / "evidence").symlink_to(tmp_path / "disk")
    assert file_below(tmp_path / "evidence", Path("a.mp4")) == tmp_path / "disk" / "a.mp4"


def test_folders_devices_and_circles_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "folder").mkdir()
    for name in ("circle", "folder", "absent", "."):
        assert file_below(tmp_path, Path(name)) is None
    assert file_below(tmp_path / "absent", Path("a")) is None


@pytest.mark.parametrize(
    "text", ["", "x", EVENT + "\n", f"{{{EVENT}}}", EVENT.upper(), "../" + EVENT]
)
def test_only_ids_as_events_have_them_count(text: str) -> None:
    assert not is_event_id(text)
    assert is_event_id(EVENT)
