"""Cameras that show when their pictures were made, and how that is read from a video."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from tests.integration.conftest import SYSTEM_PYTHON

SCRIPT = Path(__file__).with_name("clock_server.py")
BITS = 40


@dataclass
class ClockCameras:
    """A running server of `clock_server`."""

    process: subprocess.Popen[str]
    port: int

    def url(self, stream: str) -> str:
        return f"rtsp://127.0.0.1:{self.port}/{stream}"

    def drop(self) -> None:
        """Break every connection."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("drop\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "ok"


@contextmanager
def clock_cameras() -> Iterator[ClockCameras]:
    """Run a server for as long as the block lasts."""
    process = subprocess.Popen(
        [SYSTEM_PYTHON, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield ClockCameras(process, int(process.stdout.readline()))
    finally:
        process.communicate(timeout=10)


@dataclass(frozen=True)
class Shown:
    """One picture of a video."""

    at_seconds: float
    """Its time in the video."""
    made_seconds: float
    """Unix time it shows."""


def clock_bars(picture: npt.NDArray[np.uint8], near_seconds: float) -> float:
    """Return the Unix time that a picture shows, grey or RGB; `near_seconds`: within 17 years."""
    height, width = picture.shape[:2]
    row = picture[height // 8 : height // 3].astype(np.float64).mean(axis=0)
    if row.ndim == 2:
        row = row.mean(axis=1)
    bar = width / BITS
    value = 0
    for bit in range(BITS):
        value = value << 1 | int(row[int((bit + 0.5) * bar)] > 128)
    whole = round(near_seconds * 1000)
    return (whole - whole % (1 << BITS) + value) / 1000


def shown_in(video: Path, near_seconds: float) -> list[Shown]:
    """Read the clock of every picture of a video."""
    found = []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            assert frame.time is not None
            grey = np.asarray(frame.to_ndarray(format="gray"), np.uint8)
            found.append(Shown(frame.time, clock_bars(grey, near_seconds)))
    return found


def probed(video: Path) -> dict[str, Any]:
    """Return what ffprobe says of a video, every packet read. Raises where it sees an error."""
    done = subprocess.run(
        f"ffprobe -v warning -count_frames -of json -show_streams -show_format {video}".split(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    told: dict[str, Any] = json.loads(done.stdout)
    return told
