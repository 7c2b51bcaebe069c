"""Attempts: how often a wrong token may be given, by address and in all. Pure; time is given."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

FAILURES_AN_ADDRESS = 10
"""Wrong tokens that one address may give at once ..."""
REFILL_SECONDS = 30.0
"""... and after how long it may give one more."""
FAILURES_IN_ALL = 100
REFILL_IN_ALL_SECONDS = 3.0
MOST_ADDRESSES = 1000
"""The one that failed longest ago gives way; the bound on all of them holds all the same."""


@dataclass(slots=True)
class _Bucket:
    """What is left, and since when that figure holds (monotonic)."""

    left: float
    since_seconds: float

    def fill(self, now_seconds: float, most: int, refill_seconds: float) -> None:
        gained = max(0.0, now_seconds - self.since_seconds) / refill_seconds
        self.left = min(float(most), self.left + gained)
        self.since_seconds = now_seconds


class Attempts:
    """Counts wrong tokens. A right one is not counted, but waits like the others."""

    def __init__(self) -> None:
        self._addresses: OrderedDict[str, _Bucket] = OrderedDict()
        self._all = _Bucket(FAILURES_IN_ALL, 0.0)

    def __len__(self) -> int:
        return len(self._addresses)

    def wait_seconds(self, address: str, now_seconds: float) -> float:
        """Return how long this address must wait before a token of its is looked at; 0: not."""
        self._all.fill(now_seconds, FAILURES_IN_ALL, REFILL_IN_ALL_SECONDS)
        wait_seconds = _missing_seconds(self._all, REFILL_IN_ALL_SECONDS)
        if bucket := self._addresses.get(_network(address)):
            bucket.fill(now_seconds, FAILURES_AN_ADDRESS, REFILL_SECONDS)
            wait_seconds = max(wait_seconds, _missing_seconds(bucket, REFILL_SECONDS))
        return wait_seconds

    def failed(self, address: str, now_seconds: float) -> None:
        """Count a wrong token."""
        key = _network(address)
        bucket = self._addresses.pop(key, None) or _Bucket(FAILURES_AN_ADDRESS, now_seconds)
        bucket.fill(now_seconds, FAILURES_AN_ADDRESS, REFILL_SECONDS)
        bucket.left -= 1.0
        while len(self._addresses) >= MOST_ADDRESSES:
            self._addresses.popitem(last=False)
        self._addresses[key] = bucket
        self._all.fill(now_seconds, FAILURES_IN_ALL, REFILL_IN_ALL_SECONDS)
        self._all.left -= 1.0


def _missing_seconds(bucket: _Bucket, refill_seconds: float) -> float:
    return 0.0 if bucket.left >= 1.0 else (1.0 - bucket.left) * refill_seconds


def _network(address: str) -> str:
    """Return what one party has at its disposal: an IPv4 address, or 2^64 of IPv6."""
    try:
        known = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)
