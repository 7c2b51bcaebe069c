"""Network recorders to watch, each an RTSP server in a process of its own that can be killed."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"
START_SECONDS = 20.0


class Recorder:
    """One RTSP server; keeps its port over all its restarts."""

    def __init__(self) -> None:
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = False

    @property
    def url(self) -> str:
        """Address of its stream, once it was started."""
        return f"rtsp://127.0.0.1:{self._port}/live"

    @property
    def fell(self) -> bool:
        """Whether it ended by itself: now and then an assertion of GStreamer's server fails."""
        return self._wanted and self._process is not None and self._process.returncode is not None

    async def start(self) -> None:
        """Start it and wait until it listens. Raises RuntimeError."""
        self._process = await asyncio.create_subprocess_exec(
            SYSTEM_PYTHON,
            str(Path(__file__).with_name("rtsp_server.py")),
            *("--port", str(self._port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), START_SECONDS)
        if not line.strip().isdigit():
            raise RuntimeError(
                "GStreamer's RTSP server did not start: scripts/system_packages.sh test installs it"
            )
        self._port = int(line)
        self._wanted = True

    async def kill(self) -> None:
        """End it without a goodbye; also when it hangs."""
        self._wanted = False
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def freeze(self) -> None:
        """Let it hang: connections stay, nothing is sent."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
