"""Compressed H.264 and H.265 in the form that a file is made of: start codes and parameter sets.

Sources: ITU-T H.264 and H.265, Annex B (start codes); ISO/IEC 14496-15, 5.3.3.1 (avcC) and
8.3.3.1 (hvcC). Pure: bytes in, bytes out.
"""

from __future__ import annotations

from collections.abc import Iterator

CODECS = ("h264", "hevc")
"""What this is about, by FFmpeg's names."""
START = b"\0\0\0\1"
_HEAD_BYTES = 16_384
"""Parameter sets before the first slice fit in here, so long packets aren't searched."""
_H264_SETS = frozenset((7, 8, 13))
_H264_SLICES = frozenset((1, 2, 5))
_H265_SETS = frozenset((32, 33, 34))
_H265_SLICES_END = 32


def length_bytes(codec: str, extradata: bytes) -> int:
    """Return of how many bytes the length before each unit is; 0: start codes part them."""
    if not extradata or extradata[0] != 1:
        return 0
    if codec == "h264" and len(extradata) >= 7:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and len(extradata) >= 23:
        return (extradata[21] & 3) + 1
    return 0


def with_start_codes(data: bytes, prefix_bytes: int) -> bytes:
    """Return a packet with start codes instead of lengths; as it is if it has them (0)."""
    if not prefix_bytes:
        return data
    pieces, at = [], 0
    while at + prefix_bytes < len(data):
        size = int.from_bytes(data[at : at + prefix_bytes], "big")
        at += prefix_bytes
        pieces += [START, data[at : at + size]]
        at += size
    return b"".join(pieces)


def parameter_sets(codec: str, extradata: bytes) -> tuple[bytes, ...]:
    """Return the parameter sets of global headers, each without start code, in order."""
    if not extradata:
        return ()
    if length_bytes(codec, extradata):
        found = _avcc(extradata) if codec == "h264" else _hvcc(extradata)
    else:
        found = units(extradata)
    return tuple(unit for unit in found if _is_set(codec, unit))


def carried_sets(codec: str, data: bytes) -> tuple[bytes, ...]:
    """Return the parameter sets that a packet with start codes carries before its first slice."""
    found = []
    for unit in units(data[:_HEAD_BYTES]):
        if _is_slice(codec, unit):
            break
        if _is_set(codec, unit):
            found.append(unit)
    return tuple(found)


def joined(sets: tuple[bytes, ...]) -> bytes:
    """Return parameter sets with start codes."""
    return b"".join(START + unit for unit in sets)


def _is_set(codec: str, unit: bytes) -> bool:
    if codec == "h264":
        return unit[0] & 31 in _H264_SETS
    return unit[0] >> 1 & 63 in _H265_SETS


def _is_slice(codec: str, unit: bytes) -> bool:
    if codec == "h264":
        return unit[0] & 31 in _H264_SLICES
    return unit[0] >> 1 & 63 < _H265_SLICES_END


def units(data: bytes) -> Iterator[bytes]:
    """Yield each unit between start codes."""
    at = data.find(b"\0\0\1")
    while at >= 0:
        begin = at + 3
        at = data.find(b"\0\0\1", begin)
        unit = data[begin:] if at < 0 else data[begin:at].rstrip(b"\0")
        if unit:
            yield unit


def _avcc(extradata: bytes) -> Iterator[bytes]:
    at = 6
    for group in range(2):  # sequence, then picture parameter sets
        count = extradata[5] & 31 if group == 0 else sum(extradata[at : at + 1])
        at += group
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            if unit := extradata[at + 2 : at + 2 + size]:
                yield unit
            at += 2 + size


def _hvcc(extradata: bytes) -> Iterator[bytes]:
    at = 23
    for _ in range(extradata[22]):
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            if unit := extradata[at + 2 : at + 2 + size]:
                yield unit
            at += 2 + size
