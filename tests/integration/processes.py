"""The program `edgewatch` in processes of its own: settings, footage, logs, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.fakes.videos import write_video

EDGEWATCH = Path(sys.executable).with_name("edgewatch")
WAIT_SECONDS = 30.0
"""Longest wait for anything that must come; the machine may be busy."""
STOP_SECONDS = 5.0
"""What the contract gives a daemon to end."""
MOST_LINE_BYTES = 1 << 22

THRESHOLD = 0.1
"""Parts the calm from the bursts of `bursting`, with room on both sides."""
QUICK: Mapping[str, Mapping[str, Any]] = {
    "engine": {"threshold": THRESHOLD},
    "clips": {"fps": 4.0, "seconds": 1.0, "stride_seconds": 0.5, "pixels": 12_544},
    "events": {
        "open_after": 1,
        "open_within": 1,
        "close_after_seconds": 0.5,
        "cooldown_seconds": 0.0,
    },
    "web": {"port": 0},
}
"""Settings with which events come and go within seconds."""

_FOOTAGE_FPS = 8
_PERIOD = 24
_NOISE = np.random.default_rng(7).integers(0, 256, (8, 40, 60, 3), np.uint8)


def bursting(index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Draw calm; but of every 3 s, from 1.75 s to 2.5 s, something bursts about."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = np.linspace(40, 160, width, dtype=np.uint8)[None, :, None]
    left = 20 + index % _PERIOD
    picture[90:110, left : left + 12] = 230
    if 14 <= index % _PERIOD < 20:
        x, y = index * 23 % 90, index * 37 % 70
        picture[y : y + 40, x : x + 60] = _NOISE[index % len(_NOISE)]
    return picture


def footage(path: Path, *, seconds: float = 6.0) -> Path:
    """Write a recording in which an event opens, and ends, every 3 s."""
    frames = round(seconds * _FOOTAGE_FPS)
    return write_video(
        path, width=160, height=120, fps=_FOOTAGE_FPS, frames=frames, draw=bursting, created=None
    )


def write_settings(
    folder: Path,
    *,
    broker_port: int | None,
    cameras: Sequence[Mapping[str, Any]] = (),
    sections: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Write `edgewatch.toml` into a folder, which also takes the data. Port None: no [mqtt] at all.

    `sections` are laid over QUICK, key by key.
    """
    tree: dict[str, dict[str, Any]] = {
        "service": {"id": "box", "data_dir": "data", "control_socket": "control.sock"},
        **{name: dict(table) for name, table in QUICK.items()},
    }
    if broker_port is not None:
        tree["mqtt"] = {"host": "127.0.0.1", "port": broker_port}
    for name, table in (sections or {}).items():
        tree.setdefault(name, {}).update(table)
    tables: list[tuple[str, Mapping[str, Any]]] = [
        *((f"[{name}]", table) for name, table in tree.items()),
        *(("[[cameras]]", table) for table in cameras),
    ]
    text = "\n\n".join("\n".join((head, *_lines(table))) for head, table in tables)
    path = folder / "edgewatch.toml"
    path.write_text(text + "\n", "utf-8")
    return path


def file_camera(name: str, video: Path, **keys: Any) -> dict[str, Any]:
    """Return the table of a camera that plays a recording over and over."""
    return {"name": name, "url": str(video), "loop": True, **keys}


def _lines(table: Mapping[str, Any]) -> list[str]:
    # JSON's texts, numbers, lists and true/false are TOML's too.
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()]


@dataclass
class Program:
    """A running `edgewatch`, and the lines it has written so far."""

    process: asyncio.subprocess.Process
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> list[dict[str, Any]]:
        """What was logged: the lines that are JSON."""
        return [json.loads(line) for line in (*self.out, *self.err) if line.startswith("{")]

    def logged(self, event: str, **keys: Any) -> list[dict[str, Any]]:
        """Return the log lines of an event that have these keys."""
        return [
            line
            for line in self.log
            if line["event"] == event and all(line.get(key) == keys[key] for key in keys)
        ]

    async def until(
        self, holds: Callable[[], bool], *, timeout_seconds: float = WAIT_SECONDS
    ) -> None:
        """Wait until something holds of what it wrote. Raises AssertionError with all of it."""
        try:
            async with asyncio.timeout(timeout_seconds), self._changed:
                await self._changed.wait_for(holds)
        except TimeoutError:
            raise AssertionError("\n".join(("not written:", *self.out, *self.err))) from None

    async def until_logged(self, event: str, **keys: Any) -> dict[str, Any]:
        """Wait for a log line, and return the first such."""
        await self.until(lambda: bool(self.logged(event, **keys)))
        return self.logged(event, **keys)[0]

    async def until_lines(self, count: int) -> bool:
        """Wait for so many lines of any kind; False if it ended before."""
        await self.until(
            lambda: len(self.out) + len(self.err) >= count or self.process.returncode is not None
        )
        return self.process.returncode is None

    def command_line(self) -> bytes:
        """Return its arguments, as every user of the machine sees them."""
        return Path(f"/proc/{self.pid}/cmdline").read_bytes()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, *, within_seconds: float = WAIT_SECONDS) -> int:
        """Wait for its end and return the exit code. Raises AssertionError if it takes longer."""
        try:
            async with asyncio.timeout(within_seconds):
                return await self.process.wait()
        except TimeoutError:
            raise AssertionError(
                "\n".join((f"still runs after {within_seconds:g} s:", *self.out, *self.err))
            ) from None

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it as systemd would; it must take no longer than it may."""
        self.send(number)
        return await self.ended(within_seconds=STOP_SECONDS)

    async def kill(self) -> None:
        """Kill it as the kernel would."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def read(self) -> None:
        """Take in what it writes, until it ends."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        await asyncio.gather(
            self._take(self.process.stdout, self.out), self._take(self.process.stderr, self.err)
        )
        await self.process.wait()
        async with self._changed:
            self._changed.notify_all()

    async def _take(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        async for line in stream:
            async with self._changed:
                lines.append(line.decode().rstrip("\n"))
                self._changed.notify_all()


@asynccontextmanager
async def edgewatch(
    *arguments: str | Path, log_level: str = "info", **variables: str
) -> AsyncIterator[Program]:
    """Run `edgewatch` with arguments for as long as the block lasts; killed if it still runs then.

    `variables` are added to its environment, which has none of ours but what every process needs.
    """
    process = await asyncio.create_subprocess_exec(
        EDGEWATCH,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment() | {"EDGEWATCH_LOG": log_level} | variables,
        limit=MOST_LINE_BYTES,
    )
    program = Program(process)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(program.read(), name="output")
        try:
            yield program
        finally:
            await program.kill()


@asynccontextmanager
async def daemon(settings: Path, **variables: str) -> AsyncIterator[Program]:
    """Run `edgewatch run` for as long as the block lasts; it watches when the block begins."""
    async with edgewatch("run", "--config", settings, **variables) as program:
        await program.until_logged("watching")
        yield program


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has run to its end."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on its standard output."""
        return json.loads(self.out)


async def finished(
    *arguments: str | Path, within_seconds: float = WAIT_SECONDS, log_level: str = "error"
) -> Finished:
    """Run `edgewatch` with arguments to its end."""
    async with edgewatch(*arguments, log_level=log_level) as program:
        code = await program.ended(within_seconds=within_seconds)
    return Finished(code, "\n".join(program.out), "\n".join(program.err))


def _environment() -> dict[str, str]:
    private = ("EDGEWATCH_", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_")
    return {key: value for key, value in os.environ.items() if not key.startswith(private)}
