"""Secrets, each in a file of its own: a `…_file` key or a systemd credential."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NamedTuple

LONGEST_SECRET_BYTES = 4096


class Content(NamedTuple):
    """What a private file holds."""

    raw: bytes
    open_to_all: bool
    """Every user of this machine can read the file."""


class FileUnusable(Exception):
    """A private file does not yield what it should. Neither part repeats what is in it."""

    def __init__(self, wrong: str, cure: str) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.cure = cure


def read_private(path: Path, longest_bytes: int) -> Content:
    """Read a regular file, up to a length. Raises FileUnusable."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise FileUnusable(f"{path} is no file", "Name a file.")
        with path.open("rb") as file:
            return Content(file.read(longest_bytes), bool(mode & stat.S_IROTH))
    except FileNotFoundError:
        raise FileUnusable(f"{path} does not exist", "Create it, or correct the path.") from None
    except OSError as error:
        cure = f"Let the user that edgewatch runs as read it: ls -l {path}."
        raise FileUnusable(f"{path} cannot be read ({error.strerror})", cure) from None


def secret_in(content: Content, path: Path) -> str:
    """Take the secret out of a file of one line. Raises FileUnusable."""
    cure = "Write the secret into it, as one line of text."
    try:
        text = content.raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise FileUnusable(f"{path} is not UTF-8 text", cure) from None
    if len(content.raw) >= LONGEST_SECRET_BYTES or "\n" in text:
        raise FileUnusable(f"{path} holds more than one line of text", cure)
    if not text.strip():
        raise FileUnusable(f"{path} is empty", cure)
    return text
