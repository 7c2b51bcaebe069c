"""Small clips and verdicts for tests."""

from __future__ import annotations

import numpy as np

from edgewatch.pipeline.types import CameraName, Clip, Frame, Verdict

FRONT = CameraName("front")


def make_clip(
    start_seconds: float,
    *,
    camera: CameraName = FRONT,
    frames: int = 4,
    fps: float = 4.0,
    captured_seconds: float = 0.0,
    first_index: int = 0,
    replay: bool = False,
) -> Clip:
    """A clip of grey frames that starts at a Unix time."""
    pixels = np.full((28, 28, 3), 127, np.uint8)
    pixels.flags.writeable = False
    return Clip(
        clip_id=f"{camera}-{start_seconds:.3f}",
        camera=camera,
        frames=tuple(
            Frame(
                camera=camera,
                index=first_index + number,
                slot=number,
                pixels=pixels,
                media_seconds=number / fps,
                time_seconds=start_seconds + number / fps,
                captured_seconds=captured_seconds,
            )
            for number in range(frames)
        ),
        fps=fps,
        start_seconds=start_seconds,
        end_seconds=start_seconds + frames / fps,
        replay=replay,
    )


def make_verdict(
    end_seconds: float,
    score: float,
    *,
    threshold: float = 0.5,
    seconds: float = 5.0,
    camera: CameraName = FRONT,
) -> Verdict:
    """A verdict of a clip that ends at a Unix time."""
    return Verdict(
        clip_id=f"{camera}-{end_seconds:.3f}",
        camera=camera,
        label="Anomaly" if score >= threshold else "Normal",
        score=score,
        threshold=threshold,
        start_seconds=end_seconds - seconds,
        end_seconds=end_seconds,
        media_start_seconds=0.0,
        media_end_seconds=seconds,
        engine="fake-1",
        latency_ms=10.0,
    )
