"""A child process: started afresh, listened to, and always ended."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from edgewatch.pipeline.engines.child.limits import Limits
from edgewatch.pipeline.engines.child.messages import (
    MOST_BYTES,
    Close,
    Message,
    decode,
    encode,
)
from edgewatch.pipeline.engines.child.output import Output

_ENV = "/usr/bin/env"
_MODULE = "edgewatch.pipeline.engines.child"
_READ_BYTES = 65_536


class ChildProcess:
    """One process from its start to its end; not started again.

    It is a new interpreter (nothing is forked) in a session of its own, so that what it starts
    ends with it, and the kernel kills it when the thread that made it ends. All methods and
    callbacks belong to one event loop.

    `task`: what the child is told to do, pickled; it comes from this program and goes to itself.
    `memory`: descriptor of the shared memory, which the child inherits. `on_message` is called
    for each message, `on_line` for each line of output, `on_end` once, when it has ended.
    """

    def __init__(
        self,
        task: Any,
        *,
        memory: int,
        environment: Mapping[str, str],
        on_message: Callable[[Message], None],
        on_line: Callable[[str], None],
        on_end: Callable[[], None],
    ) -> None:
        self._on_message, self._on_line, self._on_end = on_message, on_line, on_end
        self._loop = asyncio.get_running_loop()
        self._output = Output()
        self._ended = asyncio.Event()
        self._returncode: int | None = None
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._popen, self._out = _start(theirs.fileno(), memory, environment)
        self._socket.setblocking(False)
        # Readable once the process has ended: no thread waits, and no signal is handled.
        self._pidfd = os.pidfd_open(self._popen.pid)
        self._loop.add_reader(self._pidfd, self._reap)
        self._loop.add_reader(self._socket, self.receive)
        self._loop.add_reader(self._out, self._read_output)
        with suppress(OSError):  # it has ended already; `on_end` will say so
            self._socket.send(pickle.dumps(task))

    @property
    def pid(self) -> int:
        """Process id; another process may have it once this one has ended."""
        return self._popen.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended and its status is read."""
        return self._ended.is_set()

    @property
    def last_line(self) -> str:
        """The last line that it wrote, bounded and without secrets."""
        return self._output.last

    @property
    def end(self) -> str:
        """How it ended, as the rest of a sentence: "was killed by signal 9 (SIGKILL)"."""
        code = self._returncode
        if code is None:
            return "is still running"
        if code >= 0:
            return f"ended by itself with code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        return f"was killed by signal {-code} ({name})"

    def send(self, message: Message) -> bool:
        """Send a message; False if it has let too many messages lie.

        To a process that is just ending, messages are lost without a word: its end, which is
        about to be told, says it all.
        """
        try:
            self._socket.send(encode(message))
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def receive(self) -> None:
        """Hand on what has come in; called by the loop, and before silence is held against it."""
        while not self._ended.is_set():
            try:
                packet = self._socket.recv(MOST_BYTES + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                packet = b""
            if not packet:
                # It has closed its end and is about to go; `_reap` says so when it is gone.
                self._loop.remove_reader(self._socket)
                return
            try:
                message = decode(packet)
            except ValueError as error:
                self._on_line(str(error))
                continue
            self._on_message(message)

    def kill(self) -> None:
        """Kill it, and what it has started, at once; `on_end` follows soon."""
        if not self._ended.is_set():
            self._signal(signal.SIGKILL)

    async def stop(self, limits: Limits, *, politely: bool) -> None:
        """End it, asking first if `politely`; returns when it has ended. Idempotent."""
        try:
            if politely and self.send(Close()) and await self._ends_within(limits.polite_seconds):
                return
            self._signal(signal.SIGTERM)
            if await self._ends_within(limits.term_seconds):
                return
        finally:
            self.kill()
        await self._ends_within(limits.kill_seconds)

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        # Not after the status was read: the number may then be another process's.
        if self._returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)

    def _reap(self) -> None:
        self.receive()  # what it said last explains why it ended
        self._read_output()
        self._signal(signal.SIGKILL)  # its own children
        self._returncode = self._popen.wait()
        self._loop.remove_reader(self._pidfd)
        self._loop.remove_reader(self._socket)
        self._loop.remove_reader(self._out)
        os.close(self._pidfd)
        os.close(self._out)
        self._socket.close()
        self._ended.set()
        self._on_end()

    def _read_output(self) -> None:
        while True:
            try:
                piece = os.read(self._out, _READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            if not piece:
                self._loop.remove_reader(self._out)
                return
            for line in self._output.take(piece):
                self._on_line(line)


def _start(
    channel: int, memory: int, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the child; return it and the descriptor on which its output is read."""
    out, write_end = os.pipe()
    os.set_blocking(out, False)
    # `env` adds to the environment without anybody here having to read it. -P: what lies in the
    # working directory is not imported.
    command = [_ENV, *(f"{name}={value}" for name, value in environment.items())]
    command += [sys.executable, "-P", "-m", _MODULE, str(os.getpid()), str(channel), str(memory)]
    try:
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            pass_fds=(channel, memory),
            start_new_session=True,
        )
    except BaseException:
        os.close(out)
        raise
    finally:
        os.close(write_end)
    return popen, out
