"""Event ids: UUIDs of version 7, which sort by time.

Source: RFC 9562, section 5.7 (48 bits of Unix milliseconds, version, 12 and 62 random bits).
"""

from __future__ import annotations

import secrets
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT_RFC = 0x2 << 62


def time_of(event_id: str) -> float | None:
    """Return the Unix time, in whole milliseconds, that is in an id; None if it is no UUIDv7."""
    try:
        number = UUID(event_id)
    except ValueError:
        return None
    return (number.int >> 80) / 1000 if number.version == 7 else None


def uuid7(unix_seconds: float, random_bits: int | None = None) -> str:
    """Return a UUIDv7 of a time; `random_bits` (its low 74 bits) makes it repeatable."""
    bits = secrets.randbits(74) if random_bits is None else random_bits
    unix_ms = max(0, round(unix_seconds * 1000)) & ((1 << 48) - 1)
    high, low = (bits >> 62) & 0xFFF, bits & ((1 << 62) - 1)
    return str(UUID(int=unix_ms << 80 | _VERSION_7 | high << 64 | _VARIANT_RFC | low))
