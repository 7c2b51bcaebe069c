"""A token in a file of its own, which nobody else on this machine may read."""

from __future__ import annotations

import stat
from pathlib import Path

from edgewatch.pipeline.errors import SceneRefused

LONGEST_BYTES = 4096


def read_token(path: Path, setting: str) -> str:
    """Return a token. Raises SceneRefused, which never repeats any of it.

    `setting`: the key that named the file, for the words.
    """
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            raw = file.read(LONGEST_BYTES)
    except FileNotFoundError:
        raise SceneRefused(
            f"{setting}: {path} does not exist. Create it with the token as its only line, then: "
            f"chmod 600 {path}"
        ) from None
    except OSError as error:
        raise SceneRefused(
            f"{setting}: {path} cannot be read ({error.strerror}). Let this user read it: "
            f"ls -l {path}"
        ) from None
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise SceneRefused(
            f"{setting}: other users of this machine can read or change {path}. Take the token "
            f"back on its server, make a new one, and: chmod 600 {path}"
        )
    try:
        token = raw.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable() or " " in token or len(raw) >= LONGEST_BYTES:
        raise SceneRefused(f"{setting}: {path} holds no token. Write it there as the only line")
    return token
