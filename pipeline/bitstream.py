"""What a compressed packet says of itself: can decoding begin here, and do others depend on it?

Read from NAL unit headers alone: H.264 after ITU-T H.264 (7.3.1, 7.4.1), H.265 after ITU-T H.265
(7.3.1.2, 7.4.2.2). Pure: bytes in, facts out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from edgewatch.pipeline import nal

_HEAD_BYTES = 4096
"""Parameter sets and messages before the first slice fit in here, so long packets aren't copied."""

_H264_SLICES = (1, 2, 5)
_H264_IDR = 5
_H264_SPS, _H264_PPS, _H264_SPS_EXTENSION = 7, 8, 13
_H264_CHROMA_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))

_H265_IDR = (19, 20)
_H265_SLICES_END = 32
_H265_NON_REFERENCE_END = 16
_H265_VPS, _H265_SPS, _H265_PPS = 32, 33, 34
_H265_END_OF_SEQUENCE = b"\x48\x01"


class PacketFacts(NamedTuple):
    """What one packet (one access unit) is."""

    clean: bool
    """Decoding can begin here: neither this picture nor a later one refers to an earlier one,
    and none that follows is displayed before it."""
    needed: bool
    """Other pictures may refer to it, or it carries parameters: it must not be left out."""
    parameters: bytes = b""
    """The parameter sets that it carries."""


class Syntax(Protocol):
    """Reads the packets of one codec."""

    obstacle: str
    """Why pictures of this stream can't be left out; empty if they can."""

    def read(self, data: memoryview) -> PacketFacts:
        """Return what a packet is."""


def syntax_of(codec: str, extradata: bytes | None, *, intra_only: bool) -> Syntax:
    """Return the reader for a codec (FFmpeg's name) with its global headers."""
    if intra_only:
        return _IntraOnly()
    if codec == "h264" and extradata:
        return _H264(extradata)
    if codec == "hevc" and extradata:
        return _H265(extradata)
    if codec in ("h264", "hevc"):
        return _Opaque("the stream's parameter sets are not known")
    return _Opaque(f"{codec} does not say which pictures others refer to")


@dataclass(slots=True)
class _Opaque:
    obstacle: str

    def read(self, data: memoryview) -> PacketFacts:
        return PacketFacts(clean=False, needed=True)


class _IntraOnly:
    """Each picture stands for itself: MJPEG, raw video, ProRes, ..."""

    obstacle = ""

    def read(self, data: memoryview) -> PacketFacts:
        return PacketFacts(clean=False, needed=False)


class _H264:
    def __init__(self, extradata: bytes) -> None:
        self.obstacle = ""
        self._length_bytes = nal.length_bytes("h264", extradata)
        sets = nal.parameter_sets("h264", extradata)
        known = [unit for unit in sets if unit[0] & 31 == _H264_SPS]
        if not known:
            self.obstacle = "the stream's parameter sets are not known"
        for unit in known:
            self._note(unit)

    def read(self, data: memoryview) -> PacketFacts:
        parameters = b""
        for unit in _units(data, self._length_bytes):
            kind = unit[0] & 31
            if kind in _H264_SLICES:
                # Equal in this respect for all slices of a picture (7.4.1)
                needed = bool(unit[0] & 0x60) or bool(parameters)
                return PacketFacts(kind == _H264_IDR, needed, parameters)
            if kind in (_H264_SPS, _H264_PPS, _H264_SPS_EXTENSION):
                parameters += unit
                if kind == _H264_SPS:
                    self._note(unit)
        return PacketFacts(clean=False, needed=True, parameters=parameters)

    def _note(self, sequence_parameters: bytes) -> None:
        try:
            if not _only_frames(sequence_parameters):
                self.obstacle = "pictures may be coded as fields"
        except IndexError:
            self.obstacle = "the stream's parameter sets are damaged"


class _H265:
    def __init__(self, extradata: bytes) -> None:
        self.obstacle = ""
        self._highest_layer = 0
        self._length_bytes = nal.length_bytes("hevc", extradata)
        sets = nal.parameter_sets("hevc", extradata)
        known = [unit for unit in sets if unit[0] >> 1 & 63 == _H265_SPS and len(unit) > 2]
        if not known:
            self.obstacle = "the stream's parameter sets are not known"
        for unit in known:
            self._note(unit)

    def read(self, data: memoryview) -> PacketFacts:
        parameters = b""
        for unit in _units(data, self._length_bytes):
            if len(unit) < 3 or (unit[0] & 1 or unit[1] >> 3):
                continue  # of another layer (F.7.4.2.2): not decoded
            kind = unit[0] >> 1 & 63
            if kind < _H265_SLICES_END:
                # Pictures of a higher temporal layer may refer to it, of its own layer not (3.167)
                left_out = (
                    kind < _H265_NON_REFERENCE_END
                    and kind % 2 == 0
                    and (unit[1] & 7) - 1 == self._highest_layer
                    and not parameters
                    and bytes(data[-2:]) != _H265_END_OF_SEQUENCE
                )
                return PacketFacts(kind in _H265_IDR, not left_out, parameters)
            if kind in (_H265_VPS, _H265_SPS, _H265_PPS):
                parameters += unit
                if kind == _H265_SPS:
                    self._note(unit)
        return PacketFacts(clean=False, needed=True, parameters=parameters)

    def _note(self, sequence_parameters: bytes) -> None:
        layers = sequence_parameters[2] >> 1 & 7  # sps_max_sub_layers_minus1 (7.3.2.2.1)
        self._highest_layer = max(self._highest_layer, layers)


def _units(data: memoryview, length_bytes: int) -> Iterator[bytes]:
    """Yield the beginning of each NAL unit, in order; parameter sets are whole."""
    if length_bytes:
        yield from _length_prefixed(data, length_bytes)
        return
    head = bytes(data[:_HEAD_BYTES])
    yield from nal.units(head)
    if len(data) > _HEAD_BYTES:  # only a packet without a slice in its head comes so far
        yield from nal.units(bytes(data))


def _length_prefixed(data: memoryview, length_bytes: int) -> Iterator[bytes]:
    at = 0
    while at + length_bytes < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        if size:
            yield bytes(data[at : at + min(size, _HEAD_BYTES)])
        at += size


def _only_frames(unit: bytes) -> bool:
    """Return frame_mbs_only_flag of a sequence parameter set (H.264, 7.3.2.1.1).

    Raises IndexError if it ends too soon.
    """
    bits = _Bits(unit[1:].replace(b"\0\0\3", b"\0\0"))
    profile = bits.take(8)
    bits.take(16)
    bits.golomb()
    if profile in _H264_CHROMA_PROFILES:
        _skip_chroma_format(bits)
    bits.golomb()
    order_type = bits.golomb()
    if order_type == 0:
        bits.golomb()
    elif order_type == 1:
        bits.take(1)
        bits.golomb()
        bits.golomb()
        for _ in range(bits.golomb()):
            bits.golomb()
    bits.golomb()
    bits.take(1)
    bits.golomb()
    bits.golomb()
    return bits.take(1) == 1


def _skip_chroma_format(bits: _Bits) -> None:
    chroma_format = bits.golomb()
    if chroma_format == 3:
        bits.take(1)
    bits.golomb()
    bits.golomb()
    bits.take(1)
    if not bits.take(1):
        return
    for position in range(8 if chroma_format != 3 else 12):
        if bits.take(1):
            _skip_scaling_list(bits, 16 if position < 6 else 64)


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last


class _Bits:
    """Reads bits from the left; raises IndexError beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise IndexError("the parameter set ends too soon")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def golomb(self) -> int:
        """Read ue(v) (9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        """Read se(v) (9.1.1)."""
        number = self.golomb()
        return (number + 1) // 2 if number % 2 else -(number // 2)
