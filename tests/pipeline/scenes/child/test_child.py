"""The child process: what it says, how it ends, and that words are said about it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.child.__main__ import serve
from edgewatch.pipeline.scenes.child.engine import ChildEngine, Limits
from edgewatch.pipeline.scenes.child.wire import Gone, receive, send
from edgewatch.pipeline.scenes.setup import SceneSetup
from tests.fakes.scene_engine import FakeSceneEngine, landscape

SIZE = (64, 48)


@contextmanager
def served(engine: FakeSceneEngine) -> Iterator[socket.socket]:
    """Serve an engine in a thread as the child does; yields the parent's end."""
    ours, theirs = socket.socketpair()
    ours.settimeout(10)

    def run() -> None:
        with theirs:
            try:
                serve(theirs, engine)
            except Gone:
                return

    thread = threading.Thread(target=run, name="child")
    thread.start()
    try:
        yield ours
    finally:
        ours.close()
        thread.join(10)
    assert engine.closed


def ask(channel: socket.socket, seed: int) -> tuple[dict[str, Any], bytes]:
    """Ask for a picture; returns the first message that is no report of a part."""
    send(channel, {"kind": "generate", "prompt": "a road", "seed": seed, "size": list(SIZE)})
    while (answer := receive(channel))[0]["kind"] == "part":
        assert answer[0] == {"kind": "part", "part": "denoise", "done": 1, "of": 1}
    return answer


def test_pictures_cross_unchanged_and_an_error_ends_nothing() -> None:
    engine = FakeSceneEngine(fails={5: SceneInvalid("seed 5 is black")})
    with served(engine) as channel:
        ready, _ = receive(channel)
        assert ready == {"kind": "ready", "name": engine.name, "facts": {"arithmetic": "by hand"}}
        header, payload = ask(channel, 4)
        picture = np.frombuffer(payload, np.float32).reshape(header["shape"])
        assert np.array_equal(picture, landscape("a road", 4, SIZE))
        header, _ = ask(channel, 5)
        assert header == {"kind": "error", "error": "SceneInvalid", "text": "seed 5 is black"}
        assert ask(channel, 6)[0]["kind"] == "picture"


def test_an_engine_that_cannot_start_says_why() -> None:
    engine = FakeSceneEngine(fails_to_start=SceneRefused("too large"))
    with served(engine) as channel:
        header, _ = receive(channel)
        assert header == {"kind": "error", "error": "SceneRefused", "text": "too large"}


@pytest.fixture
def child(tmp_path: Path) -> Iterator[ChildEngine]:
    engine = ChildEngine(SceneSetup(tmp_path), limits=Limits(30.0, 5.0))
    yield engine
    engine.close()


def test_a_real_child_paints_yields_to_others_and_is_killed_in_words(child: ChildEngine) -> None:
    pytest.importorskip("edgewatch.pipeline.scenes.procedural.engine")
    child.start()
    picture = child.generate("a road", 1, (96, 64))
    assert picture.shape == (64, 96, 3)
    pid = child.pid
    assert pid is not None
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "900"
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(SceneUnavailable, match=r"killed by the system .* memory ran out"):
        child.generate("a road", 2, (96, 64))
    with pytest.raises(SceneUnavailable, match="was not started, or is closed"):
        child.generate("a road", 2, (96, 64))


def test_a_child_that_ends_at_once_leaves_its_last_words(tmp_path: Path) -> None:
    engine = ChildEngine(SceneSetup(tmp_path), module="edgewatch.there_is_none")
    with pytest.raises(SceneUnavailable, match=r"with code 1; its last words: .*No module named"):
        engine.start()


def test_a_child_that_says_nothing_is_ended(tmp_path: Path) -> None:
    engine = ChildEngine(SceneSetup(tmp_path), limits=Limits(0.01, 0.01))
    with pytest.raises(SceneUnavailable, match="said nothing"):
        engine.start()
    assert engine.pid is None


def test_what_is_no_message_counts_as_gone() -> None:
    for data in (b"\xff" * 8, b"\0\0\0\x02\0\0\0\0[]", b"\0\0\0\x02\0\0\0\0{", b""):
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                theirs.sendall(data)
            with pytest.raises(Gone):
                receive(ours)
