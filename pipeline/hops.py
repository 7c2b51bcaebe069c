"""How clips overlap, in frames: what was asked for, and what it is rounded to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewatch.config.sections import Clips
from edgewatch.pipeline.clips import hop_frames, window_frames


@dataclass(frozen=True, slots=True)
class Overlap:
    """How one way of cutting clips lets them share pairs of frames."""

    clips: Clips
    cameras: tuple[str, ...]
    """Who is cut so."""

    @property
    def frames(self) -> int:
        """Of a clip."""
        return window_frames(self.clips.fps, self.clips.seconds)

    @property
    def hop(self) -> int:
        """Frames from one clip to the next."""
        return hop_frames(self.clips.fps, self.clips.seconds, self.clips.stride_seconds)

    @property
    def shared(self) -> float:
        """Share of a clip's pairs of frames that an earlier clip holds as well.

        With a hop of one frame every other clip pairs the same frames.
        """
        return max(0, self.frames - max(2, self.hop)) / self.frames

    @property
    def rounding(self) -> str:
        """What was rounded to what, as a sentence; empty: nothing was."""
        clips = self.clips
        asked = {
            "seconds": (clips.seconds * clips.fps, self.frames),
            "stride_seconds": (clips.stride_seconds * clips.fps, self.hop),
        }
        said = [
            f"{key} = {getattr(clips, key):g} at {clips.fps:g} fps, {wanted:.4g} frames, is taken "
            f"as {got} ({got / clips.fps:g} s)"
            for key, (wanted, got) in asked.items()
            if abs(wanted - got) > 1e-6
        ]
        return "; ".join(said)

    @property
    def sentence(self) -> str:
        """What is seen anew, and what of it could be spared."""
        if not self.shared:
            return (
                f"clips of {self.frames} frames every {self.hop} share none: each is seen in full"
            )
        return (
            f"clips of {self.frames} frames every {self.hop}: {self.shared:.0%} of the pairs of "
            "frames of each were seen with an earlier one"
        )


def overlaps(cameras: Sequence[tuple[str, Clips]]) -> list[Overlap]:
    """Return each way in which cameras are cut, once."""
    found: dict[Clips, list[str]] = {}
    for name, clips in cameras:
        found.setdefault(clips, []).append(name)
    return [Overlap(clips, tuple(names)) for clips, names in found.items()]
