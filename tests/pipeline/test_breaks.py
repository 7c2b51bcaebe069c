from __future__ import annotations

from edgewatch.pipeline.breaks import Break, Breaks


def test_steady_frames_have_no_breaks() -> None:
    breaks = Breaks(fps=4.0, seconds=5.0)
    assert [breaks.frame(100.0 + index / 4, 0) for index in range(20)] == [None] * 20
    assert breaks.end(None, 200.0) is None


def test_a_break_is_told_from_frame_to_frame_with_its_reason() -> None:
    breaks = Breaks(fps=4.0, seconds=5.0)
    breaks.frame(100.0, 0)
    assert breaks.frame(102.0, 0) == Break(100.25, 102.0, "too_short")
    assert breaks.frame(110.0, 0) == Break(102.25, 110.0, "offline")
    assert breaks.frame(118.0, 3) == Break(110.25, 118.0, "corrupt")
    assert breaks.frame(126.0, 3) == Break(118.25, 126.0, "offline")


def test_what_a_stall_took_to_be_seen_is_a_break() -> None:
    breaks = Breaks(fps=4.0, seconds=5.0)
    breaks.frame(100.0, 0)
    assert breaks.end("stalled", 110.0) == Break(100.25, 110.0, "offline")
    assert breaks.end("unreachable", 120.0) is None
    breaks.frame(130.0, 0)
    assert breaks.end("corrupt", 131.0) == Break(130.25, 131.0, "corrupt")
    breaks.frame(140.0, 7)
    assert breaks.end(None, 150.0) is None
    assert breaks.frame(160.0, 0) is None  # another connection
