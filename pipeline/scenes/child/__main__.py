"""The child: one engine, asked over a socket; ends with its parent."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgewatch.pipeline.errors import SceneError, SceneUnavailable
from edgewatch.pipeline.scenes.backends import create_scene_engine
from edgewatch.pipeline.scenes.child.wire import Gone, receive, send

NICE = 10
OOM_SCORE = 900
"""Of 1000: the kernel, out of memory, ends this process before the judge."""
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Serve one parent. `arguments`: the parent's process id and the socket's descriptor."""
    parent, channel = int(arguments[0]), socket.socket(fileno=int(arguments[1]))
    stand_back()
    _die_with(parent)
    with channel:
        try:
            _, payload = receive(channel)
            engine = create_scene_engine(pickle.loads(payload))
            signal.signal(signal.SIGTERM, partial(_end, engine))
            serve(channel, engine)
        except Gone:
            return 0
        except SceneError as error:
            _fail(channel, error)
    return 0


def serve(channel: socket.socket, engine: Any) -> None:
    """Start an engine and make pictures until the parent closes its end. Raises Gone."""

    def told(part: str, done: int, of: int) -> None:
        send(channel, {"kind": "part", "part": part, "done": done, "of": of})

    if hasattr(engine, "listen"):
        engine.listen(told)
    try:
        try:
            engine.start()
        except SceneError as error:
            _fail(channel, error)
            return
        send(channel, {"kind": "ready", "name": engine.name, "facts": _facts(engine)})
        while True:
            header, _ = receive(channel)
            try:
                width, height = header["size"]
                picture = engine.generate(header["prompt"], header["seed"], (width, height))
            except SceneError as error:
                _fail(channel, error)
                continue
            pixels = np.ascontiguousarray(picture, np.float32)
            answer = {"kind": "picture", "shape": pixels.shape, "facts": _facts(engine)}
            send(channel, answer, pixels.tobytes())
    finally:
        engine.close()


def stand_back() -> None:
    """Let everything else go first: processor time by niceness, memory by the kernel's choice."""
    with suppress(OSError):
        os.nice(NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), "ascii")


def _end(engine: Any, _number: int, _frame: object) -> None:
    if hasattr(engine, "cancel"):
        engine.cancel()
    raise SystemExit(0)


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the parent ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that held
        raise SystemExit(0)


def _facts(engine: Any) -> dict[str, Any]:
    """Return what an engine tells of itself for a sidecar; an empty table if nothing."""
    facts = getattr(engine, "facts", None)
    return dict(facts) if isinstance(facts, dict) else {}


def _fail(channel: socket.socket, error: SceneError) -> None:
    kind = type(error).__name__ if isinstance(error, SceneError) else SceneUnavailable.__name__
    send(channel, {"kind": "error", "error": kind, "text": str(error)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
