"""Sessions: who is logged in, in memory, for a bounded time and number. Pure; time is given."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace

IDLE_SECONDS = 8 * 3600.0
"""A session that nobody uses for this long is over: about a shift."""
LONGEST_SECONDS = 7 * 86_400.0
MOST_SESSIONS = 200
"""The one unused longest gives way to a new one."""
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that gave the token."""

    csrf: str
    """What its forms must send back."""
    began_seconds: float
    """Monotonic; likewise the next."""
    used_seconds: float

    def over(self, now_seconds: float) -> bool:
        """Whether it holds no more."""
        return (
            now_seconds - self.used_seconds >= IDLE_SECONDS
            or now_seconds - self.began_seconds >= LONGEST_SECONDS
        )


class Sessions:
    """Keeps the digest of each session's key, so that neither memory nor timing tells a key."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        """The one unused longest first."""

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, now_seconds: float) -> tuple[str, Session]:
        """Start a session; returns the key for its cookie."""
        self._end_old(now_seconds)
        while len(self._sessions) >= MOST_SESSIONS:
            self._sessions.popitem(last=False)
        key = secrets.token_urlsafe(_RANDOM_BYTES)
        session = Session(secrets.token_urlsafe(_RANDOM_BYTES), now_seconds, now_seconds)
        self._sessions[_digest(key)] = session
        return key, session

    def find(self, key: str, now_seconds: float) -> Session | None:
        """Return the session of a cookie's key, used as of now; None if there is none by now."""
        digest = _digest(key)
        session = self._sessions.pop(digest, None)
        if session is None or session.over(now_seconds):
            return None
        session = replace(session, used_seconds=now_seconds)
        self._sessions[digest] = session
        return session

    def end(self, key: str) -> None:
        """Forget a session; idempotent."""
        self._sessions.pop(_digest(key), None)

    def _end_old(self, now_seconds: float) -> None:
        for digest, session in list(self._sessions.items()):
            if session.over(now_seconds):
                del self._sessions[digest]


def same(given: str, expected: str) -> bool:
    """Compare secrets in a time that tells nothing of where they differ, nor of their lengths."""
    return hmac.compare_digest(_digest(given), _digest(expected))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).digest()
