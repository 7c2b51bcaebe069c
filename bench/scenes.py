"""Drawn scenes: what a clip of 5 s at 640 x 360 costs, encoding included, on one core.

    python -m bench.scenes              each scene, several seeds, the best round of each
    python -m bench.scenes --quick      one round
    python -m bench.scenes --json       one flat object, figure name -> number, and nothing else

Each clip is drawn from nothing (set-up included) and encoded to H.264 by PyAV in one thread. The
peer, in turn with it in each round: the same number of pictures of FFmpeg's `testsrc2` with its
own noise filter, drawn by libavfilter and encoded in the same way. The time is the processor's,
of all threads; OpenCV is held to one thread.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import av
import cv2
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edgewatch.pipeline.scenes.drawn.table import SCENES, draw_scene
from edgewatch.pipeline.scenes.scene import Scene

SIZE = (640, 360)
FPS = 15
SECONDS = 5.0
ENCODING = {"preset": "superfast", "crf": "20", "threads": "1", "bf": "0"}
GOALS = {f"{name}_seconds": "<= 2" for name in SCENES}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", action="store_true", help="one flat object, name to number")
    options = parser.parse_args(argv)
    cv2.setNumThreads(1)
    figures = measured(rounds=1 if options.quick else 5)
    figures = {name: float(f"{value:.4g}") for name, value in figures.items()}
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value:10.3f}  {GOALS.get(name, '')}")
    return 0


def measured(rounds: int) -> dict[str, float]:
    """Draw and encode each scene once a round, with another seed each time, beside the peer."""
    encode_seconds(peer_pictures(3))  # what is loaded at the first call
    figures: dict[str, float] = {}
    peers = []
    clips: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SCENES}
    for seed in range(rounds):
        peers.append(encode_seconds(peer_pictures(round(SECONDS * FPS))))
        for name in SCENES:
            clips[name].append(clip_seconds(name, seed))
            print(f"round {seed + 1} of {rounds}: {name}", file=sys.stderr)
    peer = statistics.median(peers)
    for name, times in clips.items():
        setups, wholes, alone = zip(*times, strict=True)
        figures[f"{name}_seconds"] = statistics.median(wholes)
        figures[f"{name}_setup_seconds"] = statistics.median(setups)
        figures[f"{name}_encoding_seconds"] = statistics.median(alone)
        ratios = [whole / other for whole, other in zip(wholes, peers, strict=True)]
        figures[f"{name}_over_testsrc2"] = statistics.median(ratios)
    return figures | {"testsrc2_seconds": peer}


def clip_seconds(name: str, seed: int) -> tuple[float, float, float]:
    """Return the seconds of the set-up, of the whole clip, and of its encoding alone."""
    began = time.process_time()
    scene = draw_scene(name, seed, SIZE, FPS, SECONDS)
    setup = time.process_time() - began
    pictures: list[VideoFrame] = []
    encode_seconds(_kept(drawn_pictures(scene), pictures))
    whole = time.process_time() - began
    return setup, whole, encode_seconds(iter(pictures))


def drawn_pictures(scene: Scene) -> Iterator[VideoFrame]:
    """Draw all pictures in order."""
    for index in range(scene.frame_count):
        yield VideoFrame.from_ndarray(scene.frame(index), format="rgb24")


def peer_pictures(count: int) -> Iterator[VideoFrame]:
    """Let libavfilter draw its moving test picture, with a sensor's noise."""
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add("testsrc2", f"size={SIZE[0]}x{SIZE[1]}:rate={FPS}")
    noise = graph.add("noise", "alls=8:allf=t")
    to_rgb = graph.add("format", "pix_fmts=rgb24")
    sink = graph.add("buffersink")
    source.link_to(noise)
    noise.link_to(to_rgb)
    to_rgb.link_to(sink)
    graph.configure()
    for _ in range(count):
        frame = graph.pull()
        assert isinstance(frame, VideoFrame)
        yield frame


def encode_seconds(pictures: Iterable[VideoFrame]) -> float:
    """Encode pictures into memory; return the processor's seconds, their drawing included."""
    began = time.process_time()
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        assert isinstance(stream, VideoStream)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = dict(ENCODING)
        for index, picture in enumerate(pictures):
            picture.pts, picture.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return time.process_time() - began


def _kept(pictures: Iterator[VideoFrame], into: list[VideoFrame]) -> Iterator[VideoFrame]:
    for picture in pictures:
        into.append(picture)
        yield picture


if __name__ == "__main__":
    sys.exit(main())
