"""The scene engine as seen from outside its process."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from edgewatch.pipeline.errors import (
    SceneError,
    SceneInvalid,
    SceneRefused,
    SceneUnavailable,
)
from edgewatch.pipeline.scenes.child.wire import Gone, receive, send
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.setup import SceneSetup

_ENV = "/usr/bin/env"
_MODULE = "edgewatch.pipeline.scenes.child"
_ERRORS: dict[str, type[SceneError]] = {
    one.__name__: one for one in (SceneError, SceneInvalid, SceneRefused, SceneUnavailable)
}
_LAST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the child may take, in seconds."""

    silence_seconds: float = 900.0
    """Longest without a word: it speaks after each part that it loads and after each step."""
    close_seconds: float = 5.0
    """For ending when it is asked to, before it is killed."""


class ChildEngine:
    """A `SceneEngine` that runs another in a child process, niced and first to be killed.

    The child ends when it is closed, when this process ends, and when it is silent for too long.
    """

    def __init__(
        self,
        setup: SceneSetup,
        *,
        limits: Limits = Limits(),
        on_part: Callable[[str, int, int], None] | None = None,
        module: str = _MODULE,
    ) -> None:
        """`on_part` is told (part, done, of all). `module`: what the child runs, for tests."""
        self._setup, self._limits, self._module = setup, limits, module
        self._on_part = on_part or (lambda _part, _done, _of: None)
        self._name = f"{setup.backend}:{setup.model}:{setup.precision}"
        self._popen: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._said: IO[bytes] | None = None
        self.facts: dict[str, Any] = {}
        """What the child says of itself: arithmetic, device, versions, the last picture's plan."""

    @property
    def name(self) -> str:
        """The engine's own name, once started."""
        return self._name

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        return None if self._popen is None else self._popen.pid

    def start(self) -> None:
        """Start the process and the engine in it; what that raises is raised here."""
        if self._popen is not None:
            return
        ours, theirs = socket.socketpair()
        said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        with theirs:
            command = [
                _ENV,
                "HF_HUB_OFFLINE=1",
                "PYTHONUNBUFFERED=1",
                "CUDA_DEVICE_ORDER=PCI_BUS_ID",
                # Without gaps between what the phases leave: 1 to 5 GB less (measured, an H200)
                "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
            ]
            command += [sys.executable, "-P", "-m", self._module]
            command += [str(os.getpid()), str(theirs.fileno())]
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is ours to hand on
            )
        ours.settimeout(self._limits.silence_seconds)
        self._channel, self._said = ours, said
        try:
            # The setup comes from this program and goes to itself.
            self._tell({"kind": "start"}, pickle.dumps(self._setup))
            header, _ = self._answer("ready")
        except BaseException:
            self.close()
            raise
        self._name = str(header["name"])
        self.facts |= header.get("facts", {})

    def generate(self, prompt: str, seed: int, size: tuple[int, int]) -> SceneImage:
        """Make one picture there; see the protocol. Interrupted, it ends the child."""
        if self._channel is None:
            raise SceneUnavailable(f"{self._name} was not started, or is closed")
        try:
            self._tell({"kind": "generate", "prompt": prompt, "seed": seed, "size": list(size)})
            header, payload = self._answer("picture")
        except SceneError:
            raise
        except BaseException:
            self.close()
            raise
        self.facts |= header.get("facts", {})
        return np.frombuffer(payload, np.float32).reshape(header["shape"]).copy()

    def close(self) -> None:
        """End the process: asked, then told (SIGTERM), then killed."""
        popen, self._popen = self._popen, None
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()  # which asks
        if popen is not None:
            self._end(popen)
        if self._said is not None:
            self._said.close()
            self._said = None

    def _tell(self, header: dict[str, Any], payload: bytes = b"") -> None:
        assert self._channel is not None
        # A child that has gone is told of where its answer is missed: with its last words.
        with suppress(Gone):
            send(self._channel, header, payload)

    def _answer(self, kind: str) -> tuple[dict[str, Any], bytes]:
        assert self._channel is not None
        while True:
            try:
                header, payload = receive(self._channel)
            except Gone:
                raise SceneUnavailable(self._obituary()) from None
            except TimeoutError:
                self.close()
                raise SceneUnavailable(
                    f"{self._name} said nothing for {self._limits.silence_seconds:.0f} seconds and "
                    "was ended: is the GPU busy, or the disk with the model slow?"
                ) from None
            match header.get("kind"):
                case "part":
                    self._on_part(str(header["part"]), int(header["done"]), int(header["of"]))
                case "error":
                    raise _ERRORS.get(str(header.get("error")), SceneError)(str(header.get("text")))
                case said if said == kind:
                    return header, payload

    def _obituary(self) -> str:
        """Say how the child ended; it has closed its end, so it has, or soon will have."""
        popen, last = self._popen, ""
        code: int | None = None
        if popen is not None:
            with suppress(subprocess.TimeoutExpired):
                code = popen.wait(self._limits.close_seconds)
        if self._said is not None:
            last = _last_line(self._said)
        self.close()
        words = f"the process of {self._name} "
        if code == -signal.SIGKILL:
            return words + (
                "was killed by the system (signal 9), most likely because memory ran out: choose a "
                "lower precision or a smaller size, or stop the judge meanwhile"
            )
        if code is not None and code < 0:
            words += f"was killed by signal {-code}"
        else:
            words += f"ended by itself with code {code}"
        return words + (f"; its last words: {last}" if last else "")

    def _end(self, popen: subprocess.Popen[bytes]) -> None:
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(popen.pid, number)
            try:
                popen.wait(self._limits.close_seconds)
            except subprocess.TimeoutExpired:
                continue
            return


def _last_line(said: IO[bytes]) -> str:
    end = said.seek(0, os.SEEK_END)
    said.seek(max(0, end - _LAST_BYTES))
    lines = [line.strip() for line in said.read().decode("utf-8", "replace").splitlines()]
    return next((line[:300] for line in reversed(lines) if line), "")
