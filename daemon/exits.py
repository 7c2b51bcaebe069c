"""Exit codes, as `docs/` and systemd units rely on them. Source: sysexits.h."""

from __future__ import annotations

EX_OK = 0
EX_FAILED = 1
"""Something that was asked for did not work; what did is reported."""
EX_SOFTWARE = 70
EX_TEMPFAIL = 75
EX_CONFIG = 78
