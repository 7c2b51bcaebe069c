"""What a decoder was told at a video's begin: all of the video must keep to it. Pure."""

from __future__ import annotations

from edgewatch.pipeline import nal
from edgewatch.pipeline.preroll import Coding, KeptPacket


class Parameters:
    """Those of one video: its first key frame sets them."""

    def __init__(self) -> None:
        self.coding: Coding | None = None
        """How the first key frame was coded; None before there is one."""
        self._known: frozenset[bytes] = frozenset()

    def fit(self, key: KeptPacket) -> bool:
        """Whether a key frame goes on with the parameters of the video so far."""
        coding, first = key.coding, self.coding
        if first is None:
            self.coding, self._known = coding, _sets(key)
            return True
        if coding.codec != first.codec or coding.time_base != first.time_base:
            return False
        if coding.codec in nal.CODECS:
            return _sets(key) <= self._known
        return (coding.width, coding.height) == (first.width, first.height)


def _sets(key: KeptPacket) -> frozenset[bytes]:
    coding = key.coding
    if coding.codec not in nal.CODECS:
        return frozenset()
    head = nal.with_start_codes(key.data, nal.length_bytes(coding.codec, coding.extradata))
    carried = nal.carried_sets(coding.codec, head)
    return frozenset(carried or nal.parameter_sets(coding.codec, coding.extradata))
