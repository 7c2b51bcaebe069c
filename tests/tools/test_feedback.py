from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from edgewatch.daemon.lock import DataLock
from edgewatch.pipeline.store import Store
from edgewatch.tools.feedback import main
from tests.fakes.events import make_event

FIRST = "019078f0-0000-7000-8000-000000000001"
SECOND = "019078f0-1111-7000-8000-000000000002"


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Settings with two events on record."""
    file = tmp_path / "edgewatch.toml"
    file.write_text('[service]\ndata_dir = "data"\ncontrol_socket = "control.sock"\n')
    with Store(tmp_path / "data" / "edgewatch.db") as store:
        for event_id in (FIRST, SECOND):
            store.save_event(make_event(event_id, end_seconds=1_010.0))
    return f"--config={file}"


def said(tmp_path: Path, event_id: str) -> tuple[bool, str, str] | None:
    with Store.open_readonly(tmp_path / "data" / "edgewatch.db") as records:
        found = records.feedback(event_id)
    return None if found is None else (found.correct, found.note, found.given_by)


@contextmanager
def daemon(tmp_path: Path, status: int, answer: dict[str, str] | None) -> Iterator[list[Any]]:
    """Hold the data folder as a daemon does, and answer on its socket; yields what was said."""
    heard: list[Any] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    async def feedback(request: web.Request) -> web.Response:
        heard.append(await request.json())
        if answer is None:
            return web.Response(status=status)
        return web.json_response(answer, status=status)

    async def serve() -> web.AppRunner:
        application = web.Application()
        application.router.add_post("/feedback", feedback)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.UnixSite(runner, str(tmp_path / "control.sock")).start()
        return runner

    def run() -> None:
        runner = loop.run_until_complete(serve())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10.0)
    try:
        with DataLock(tmp_path / "data"):
            yield heard
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10.0)


class TestWithoutADaemon:
    def test_it_is_written_into_the_records(
        self, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([FIRST, "true", "--note", "a  van\n", config]) == 0
        assert capsys.readouterr().out == f"{FIRST} of front: rightly an event\n"
        assert said(tmp_path, FIRST) == (True, "a  van", "cli")
        assert main([FIRST, "false", config]) == 0
        assert said(tmp_path, FIRST) == (False, "", "cli")

    def test_the_beginning_of_an_id_is_enough(self, config: str, tmp_path: Path) -> None:
        assert main(["019078F0-1", "false", config]) == 0
        assert said(tmp_path, SECOND) == (False, "", "cli")

    def test_a_beginning_that_several_share_is_refused_with_their_ids(
        self, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["0190", "true", config]) == 1
        assert capsys.readouterr().err == (
            f'edgewatch feedback: several events begin with "0190": {FIRST}, {SECOND}\n'
        )
        assert said(tmp_path, FIRST) is None

    def test_an_unknown_id_is_told_with_the_cure(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["abc", "true", config]) == 1
        assert 'no event "abc". `edgewatch events` lists' in capsys.readouterr().err

    def test_records_that_are_not_there_are_told(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "edgewatch.toml"
        file.write_text('[service]\ndata_dir = "nowhere"\n')
        assert main(["abc", "true", f"--config={file}"]) == 1
        assert "there is no database" in capsys.readouterr().err

    def test_a_note_that_is_too_long_is_refused(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main([FIRST, "true", "--note", "x" * 501, config])
        assert "longer than 500" in capsys.readouterr().err


class TestBesideADaemon:
    def test_the_daemon_is_told(self, config: str, tmp_path: Path) -> None:
        with daemon(tmp_path, 204, None) as heard:
            assert main(["019078f0-1", "false", "--note", "a bird", config]) == 0
        assert heard == [{"event_id": SECOND, "correct": False, "note": "a bird"}]
        assert said(tmp_path, SECOND) is None

    def test_what_the_daemon_refuses_is_told(
        self, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with daemon(tmp_path, 503, {"error": "the disk is full"}):
            assert main([FIRST, "true", config]) == 1
        assert "did not keep it: the disk is full" in capsys.readouterr().err

    def test_a_daemon_that_does_not_answer_is_told_with_the_cure(
        self, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with DataLock(tmp_path / "data"):
            assert main([FIRST, "true", config]) == 1
        assert "control socket" in (error := capsys.readouterr().err)
        assert "does not answer" in error
