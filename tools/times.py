"""Times as people write them on a command line: 2026-11-21T14:05:00, 14:05, -5m."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time, tzinfo

HELP = "ISO 8601 (2026-11-21T14:05), HH:MM[:SS] today, or -90s, -5m, -2h ago"

_AGO = re.compile(r"-(\d{1,9}(?:\.\d{1,3})?)([smhd])")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_time(text: str, now_seconds: float, zone: tzinfo | None = None) -> float:
    """Return the Unix time that a text means at `now_seconds` (Unix time).

    A date or clock without a zone is in `zone`; None: this machine's, with its summer time. Raises
    ValueError, whose text has the cure.
    """
    text = text.strip()
    try:
        if ago := _AGO.fullmatch(text):
            return now_seconds - float(ago[1]) * _SECONDS[ago[2]]
        if clock := _CLOCK.fullmatch(text):
            hour, minute, second = (int(part or 0) for part in clock.groups())
            today = datetime.fromtimestamp(now_seconds, zone).date()
            return datetime.combine(today, time(hour, minute, second), zone).timestamp()
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no time: write {HELP}") from None


def joined(argv: Sequence[str]) -> list[str]:
    """Write `--since -5m` as `--since=-5m`: argparse takes what starts with "-" for an option."""
    words: list[str] = []
    for word in argv:
        if words and re.fullmatch(r"--[a-z-]+", words[-1]) and _AGO.fullmatch(word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words
