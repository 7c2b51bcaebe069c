"""Make the sample footage: two stretches of a real fixed camera and a drawn drive.

The fixed camera is vtest.avi of OpenCV, which Debian's package opencv-doc holds:

    cd /tmp && apt-get download opencv-doc && dpkg -x opencv-doc_*.deb opencv-doc
    python scripts/make_samples.py \\
        --vtest /tmp/opencv-doc/usr/share/doc/opencv-doc/examples/data/vtest.avi --out samples

Seeds are fixed: the pixels before encoding are the same each time. What the encoder makes of them
may differ with its version.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from edgewatch.pipeline.scenes.drawn.drive import DriveScene
from edgewatch.pipeline.scenes.incidents.flash_fire import FlashFire
from edgewatch.pipeline.scenes.truth import FrameTruth
from edgewatch.pipeline.types import Pixels

SECONDS = 24.0
WALKWAY_SIZE = (640, 480)
WALKWAY_FPS = 10
NORMAL_FROM_SECONDS = 0.0
INCIDENT_FROM_SECONDS = 26.0
DRIVE_SIZE = (640, 360)
DRIVE_FPS = 15
IMPACT_SECONDS = 10.4
DRIVE_SEED = 7
FIRE_SEED = 11

Picture = tuple[Pixels, FrameTruth]


@dataclass(frozen=True, slots=True)
class Sample:
    """One file to make."""

    name: str
    camera: str
    what: str
    size: tuple[int, int]
    fps: int
    crf: int
    pictures: Iterator[Picture]


def main(argv: list[str] | None = None) -> int:
    """Write the samples and truth.csv; 0 if all went well, 1 with a message if not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vtest", type=Path, required=True, help="path of OpenCV's vtest.avi")
    parser.add_argument("--out", type=Path, default=Path("samples"), help="folder to write to")
    arguments = parser.parse_args(argv)
    if not arguments.vtest.is_file():
        print(f"no file {arguments.vtest}; --help says how to get vtest.avi", file=sys.stderr)
        return 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = [write(sample, arguments.out) for sample in samples(arguments.vtest)]
    write_labels(arguments.out / "truth.csv", rows)
    return 0


def samples(vtest: Path) -> list[Sample]:
    """Describe the three files."""
    return [
        Sample(
            "walkway.mp4",
            "fixed",
            "People cross a walkway",
            WALKWAY_SIZE,
            WALKWAY_FPS,
            24,
            normal_walkway(vtest),
        ),
        Sample(
            "walkway_incident.mp4",
            "fixed",
            "Flash fire beside the walkway with a growing plume of smoke (composited)",
            WALKWAY_SIZE,
            WALKWAY_FPS,
            24,
            burning_walkway(vtest),
        ),
        Sample(
            "drive_impact.mp4",
            "drive",
            "The car ahead brakes hard and the own car runs into it (drawn)",
            DRIVE_SIZE,
            DRIVE_FPS,
            23,
            drive(),
        ),
    ]


def normal_walkway(vtest: Path) -> Iterator[Picture]:
    """Cut the first stretch."""
    for index, pixels in enumerate(cut(vtest, NORMAL_FROM_SECONDS)):
        yield pixels, FrameTruth(index / WALKWAY_FPS)


def burning_walkway(vtest: Path) -> Iterator[Picture]:
    """Cut a later stretch, in which nobody walks on the lawn, and set fire to the lawn."""
    fire = FlashFire(
        FIRE_SEED, foot=(0.57, 0.80), flame_height=0.2, begins_seconds=8.5, burns_seconds=7.0
    )
    for index, pixels in enumerate(cut(vtest, INCIDENT_FROM_SECONDS)):
        yield fire.compose(pixels, index / WALKWAY_FPS)


def drive() -> Iterator[Picture]:
    """Draw the drive."""
    scene = DriveScene(DRIVE_SEED, DRIVE_SIZE, DRIVE_FPS, IMPACT_SECONDS, duration_seconds=SECONDS)
    for index, pixels in enumerate(scene.frames()):
        yield pixels, scene.truth(index)


def cut(source: Path, from_seconds: float) -> Iterator[Pixels]:
    """Read a stretch of the fixed camera, scaled; one picture for each tenth of a second."""
    first = round(from_seconds * WALKWAY_FPS)
    last = first + round(SECONDS * WALKWAY_FPS)
    with av.open(str(source)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index >= last:
                return
            if index >= first:
                picture = frame.to_ndarray(format="rgb24")
                scaled = cv2.resize(picture, WALKWAY_SIZE, interpolation=cv2.INTER_AREA)
                yield np.asarray(scaled, np.uint8)


def write(sample: Sample, folder: Path) -> dict[str, str]:
    """Encode one sample as H.264 and give its row of truth.csv."""
    truths: list[FrameTruth] = []
    path = folder / sample.name
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=sample.fps)
        stream.width, stream.height = sample.size
        stream.pix_fmt = "yuv420p"
        # One thread: how x264 splits the work would change the bits. A key frame every 2 s, as
        # cameras send them.
        stream.options = {
            "crf": str(sample.crf),
            "preset": "slow",
            "threads": "1",
            "g": str(2 * sample.fps),
        }
        for index, (pixels, truth) in enumerate(sample.pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, sample.fps)
            container.mux(stream.encode(frame))
            truths.append(truth)
        container.mux(stream.encode(None))
    print(f"{path}: {len(truths)} pictures, {path.stat().st_size / 1e6:.2f} MB")
    return label(sample, truths)


def label(sample: Sample, truths: list[FrameTruth]) -> dict[str, str]:
    """Sum the pictures' truth up in one row."""
    anomalous = [truth.time_seconds for truth in truths if truth.anomalous]
    start = f"{anomalous[0]:.2f}" if anomalous else ""
    end = f"{anomalous[-1] + 1 / sample.fps:.2f}" if anomalous else ""
    return {
        "file": sample.name,
        "camera": sample.camera,
        "label": "Anomaly" if anomalous else "Normal",
        "anomaly_start_s": start,
        "anomaly_end_s": end,
        "what": sample.what,
    }


def write_labels(path: Path, rows: list[dict[str, str]]) -> None:
    """Write the label file that `edgewatch replay --labels` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
