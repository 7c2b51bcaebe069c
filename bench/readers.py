"""One reader samples one recording, in a process of its own.

    python -m bench.readers decord VIDEO --fps 4 --width 336 --height 196

Prints one JSON object: wall-clock and CPU seconds, peak memory, frames; or what is missing for
this reader. Starting Python and importing are not part of the times, and neither is the start of
the `ffmpeg` program, which is measured beside it and taken off.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench.recording import replaying
from edgewatch.config.sections import Clips
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.types import Clip

CLIP_FRAMES = 20
"""So many frames are asked for or handed over at a time, by all that work in portions."""
PIXELS = 63_504


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done: `fps` pictures a second, as uint8 (float for qwen_vl_utils) of a size."""

    path: Path
    fps: float
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Lap:
    """How long it took, and how many frames it gave."""

    wall_seconds: float
    cpu_seconds: float
    frames: int


Reader = Callable[[Job], Lap]


class Missing(Exception):
    """A reader cannot run here; says what it lacks."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=tuple(READERS))
    parser.add_argument("video", type=Path)
    parser.add_argument("--fps", type=float, default=4.0)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--height", type=int, required=True)
    options = parser.parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    try:
        read = READERS[options.reader]()
    except Missing as missing:
        print(json.dumps({"missing": str(missing)}))
        return 0
    lap = read(Job(options.video, options.fps, options.width, options.height))
    print(
        json.dumps(
            {
                "wall_seconds": lap.wall_seconds,
                "cpu_seconds": lap.cpu_seconds,
                "peak_bytes": peak_bytes(),
                "frames": lap.frames,
            }
        )
    )
    return 0


def peak_bytes() -> int:
    """Return the most memory this process has had resident (Linux)."""
    # Not getrusage: what it says of a young process includes the one that started it
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmHWM in /proc/self/status")


def timed(work: Callable[[], int]) -> Lap:
    """Run `work`, which returns its number of frames, and keep its time; CPU of all threads."""
    wall_seconds, cpu_seconds = time.monotonic(), time.process_time()
    frames = work()
    return Lap(time.monotonic() - wall_seconds, time.process_time() - cpu_seconds, frames)


def wanted_indices(pictures: int, picture_fps: float, fps: float) -> list[int]:
    """Return which pictures are sampled by readers that go by index: nearest to each tick."""
    ticks = range(int(pictures / picture_fps * fps + 1e-6))
    return [min(pictures - 1, round(tick * picture_fps / fps)) for tick in ticks]


def _ours() -> Reader:
    def read(job: Job) -> Lap:
        shelf = _Counter((job.height, job.width))
        cut = Clips(
            fps=job.fps,
            seconds=CLIP_FRAMES / job.fps,
            stride_seconds=CLIP_FRAMES / job.fps,
            pixels=PIXELS,
        )
        thread = replaying(job.path, cut, shelf)

        def work() -> int:
            thread.start()
            shelf.closed.wait()
            return shelf.frames

        return timed(work)

    return read


class _Counter:
    """Takes every clip and counts its frames, each once."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._indices: set[int] = set()  # the last clip of a recording reaches back
        self.closed = threading.Event()

    @property
    def frames(self) -> int:
        return len(self._indices)

    def offer(self, clip: Clip, /) -> bool:
        for frame in clip.frames:
            if frame.pixels.shape != (*self._shape, 3):
                raise ValueError(f"frames are {frame.pixels.shape}, peers were told {self._shape}")
        self._indices.update(frame.index for frame in clip.frames)
        return True

    def close(self) -> None:
        self.closed.set()


def _ffmpeg() -> Reader:
    program = shutil.which("ffmpeg")
    if program is None:
        raise Missing("ffmpeg (the program)")

    def read(job: Job) -> Lap:
        filters = f"fps={job.fps:g},scale={job.width}:{job.height}:flags=area"
        command = [program, "-nostdin", "-loglevel", "error", "-i", str(job.path)]
        command += ["-vf", filters, "-f", "rawvideo", "-"]
        _program_lap([program, "-version"])
        start, _ = _program_lap([program, "-version"])
        whole, written_bytes = _program_lap(command)
        picture_bytes = job.width * job.height * 3 // 2  # it leaves them yuv420p
        return Lap(
            whole.wall_seconds - start.wall_seconds,
            whole.cpu_seconds - start.cpu_seconds,
            written_bytes // picture_bytes,
        )

    return read


def _program_lap(command: list[str]) -> tuple[Lap, int]:
    """Run a program, reading what it writes; returns its time and how many bytes it wrote."""
    began_seconds = time.monotonic()
    reading, writing = os.pipe()
    process = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_CLOSE, reading)],
    )
    os.close(writing)
    written_bytes = 0
    while portion := os.read(reading, 1 << 20):
        written_bytes += len(portion)
    os.close(reading)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    wall_seconds = time.monotonic() - began_seconds
    return Lap(wall_seconds, usage.ru_utime + usage.ru_stime, 0), written_bytes


def _opencv() -> Reader:
    import cv2

    def read(job: Job) -> Lap:
        def work() -> int:
            capture = cv2.VideoCapture(str(job.path))
            pictures = round(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            wanted = wanted_indices(pictures, capture.get(cv2.CAP_PROP_FPS), job.fps)
            frames = 0
            for index in range(wanted[-1] + 1):
                if not capture.grab():
                    break
                if index == wanted[frames]:
                    _, picture = capture.retrieve()
                    small = cv2.resize(
                        picture, (job.width, job.height), interpolation=cv2.INTER_AREA
                    )
                    cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
                    frames += 1
            return frames

        return timed(work)

    return read


def _decord() -> Reader:
    decord = _imported("decord")

    def read(job: Job) -> Lap:
        def work() -> int:
            # It scales by itself while it decodes, and by default decodes in as many threads
            # as it likes
            video = decord.VideoReader(str(job.path), width=job.width, height=job.height)
            wanted = wanted_indices(len(video), video.get_avg_fps(), job.fps)
            return sum(len(video.get_batch(part).asnumpy()) for part in _portions(wanted))

        return timed(work)

    return read


def _torchcodec() -> Reader:
    if importlib.util.find_spec("torchvision"):
        _let_torchvision_import()  # its transforms look for those of torchvision
    decoders = _imported("torchcodec.decoders")
    transforms = _imported("torchcodec.transforms")

    def read(job: Job) -> Lap:
        def work() -> int:
            # What suits it best: FFmpeg's number of threads, no scan of the file beforehand, and
            # its own scaler
            video = decoders.VideoDecoder(
                str(job.path),
                num_ffmpeg_threads=0,
                seek_mode="approximate",
                dimension_order="NHWC",
                transforms=[transforms.Resize((job.height, job.width))],
            )
            about = video.metadata
            wanted = wanted_indices(about.num_frames, about.average_fps, job.fps)
            return sum(len(video.get_frames_at(part).data) for part in _portions(wanted))

        return timed(work)

    return read


def _qwen_vl_utils(backend: str | None) -> Reader:
    """`backend`: one of its readers; None lets it choose (torchcodec, if that is there)."""
    if backend:
        os.environ["FORCE_QWENVL_VIDEO_READER"] = backend
        if backend != "torchvision":
            _imported(backend)
    _let_torchvision_import()
    vision = _imported("qwen_vl_utils.vision_process")
    if backend == "torchvision" and not hasattr(vision.io, "read_video"):
        vision.io.read_video = _read_video

    def read(job: Job) -> Lap:
        request = {
            "video": str(job.path),
            "fps": job.fps,
            "resized_width": job.width,
            "resized_height": job.height,
        }
        return timed(lambda: len(vision.fetch_video(request)))

    return read


def _let_torchvision_import() -> None:
    """Declare the two operators without which torchvision refuses to be imported.

    Its compiled part needs a torch built for CUDA. Of torchvision, qwen_vl_utils uses the scaling
    of tensors alone, which is plain torch.
    """
    torch = _imported("torch")
    if torch.version.cuda is None:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)


_declared: list[Any] = []  # they are gone with their library


def _read_video(
    path: str, start_pts: float, end_pts: float | None, pts_unit: str, output_format: str
) -> tuple[Any, None, dict[str, float]]:
    """Read a whole video as `torchvision.io.read_video` did until it was removed: with PyAV.

    Every picture is decoded, kept, turned into RGB and stacked. Source: torchvision 0.21,
    io/video.py (`_read_from_stream`, `read_video`).
    """
    if (start_pts, end_pts, pts_unit, output_format) != (0.0, None, "sec", "TCHW"):
        raise ValueError("only whole files are read, as qwen_vl_utils asks for them")
    with av.open(path, metadata_errors="ignore") as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 0)
        pictures = sorted(container.decode(stream), key=lambda picture: picture.pts or 0)
    stack = np.stack([picture.to_rgb().to_ndarray() for picture in pictures])
    video = _imported("torch").as_tensor(stack).permute(0, 3, 1, 2)
    return video, None, {"video_fps": rate}


def _imported(module: str) -> Any:
    """Import a module of the bench's extra. Raises Missing."""
    package = module.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise Missing(package)
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        # torchcodec without FFmpeg's shared libraries raises a RuntimeError
        reason = str(error).strip().splitlines()[0]
        raise Missing(f"{package} (it is there, but: {reason})") from error


def _portions(indices: list[int]) -> Iterable[list[int]]:
    return (indices[at : at + CLIP_FRAMES] for at in range(0, len(indices), CLIP_FRAMES))


READERS: dict[str, Callable[[], Reader]] = {
    "ours": _ours,
    "ffmpeg": _ffmpeg,
    "qwen_vl_utils": lambda: _qwen_vl_utils(None),
    "qwen_vl_utils_decord": lambda: _qwen_vl_utils("decord"),
    "qwen_vl_utils_torchvision": lambda: _qwen_vl_utils("torchvision"),
    "decord": _decord,
    "opencv": _opencv,
    "torchcodec": _torchcodec,
}
"""Each makes a reader, imports included. Raises Missing."""


if __name__ == "__main__":
    sys.exit(main())
