"""Where a camera's video comes from: its address taken apart, and its secrets kept out of texts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

SourceKind = Literal["file", "rtsp", "http", "device"]

_KINDS: dict[str, SourceKind] = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}

# Some recorders take the login in the path: /user=admin_password=secret_channel=1.sdp
_SECRET_IN_PATH = re.compile(
    r"(?i)((?:user(?:name)?|pass(?:word|wd)?|pwd|token|key|auth|secret)=)([^&/;_?]*)"
)


@dataclass(frozen=True, slots=True)
class Source:
    """One camera's address.

    A directory is a `file` source too: only opening it tells, as it may be mounted later.
    """

    kind: SourceKind
    location: str = field(repr=False)
    """What FFmpeg opens, with user and password: never shown, logged or stored."""
    display: str
    """The same for people: without user, password and query values."""


def parse_source(url: str, *, password: str | None = None) -> Source:
    """Take a camera's `url` apart; `password` (from a file) is merged into it, percent-encoded.

    Accepts rtsp(s):// and http(s):// addresses, `/dev/...` devices, file:// and plain paths of
    files and directories. Raises ValueError with the cure; its text never holds a secret.
    """
    url = url.strip()
    if not url:
        raise ValueError("the address is empty: give rtsp://, http://, a path or /dev/video0")
    scheme, separator, _ = url.partition("://")
    if separator and scheme.lower() in _KINDS:
        return _network_source(_KINDS[scheme.lower()], url, password)
    if separator and scheme.lower() != "file":
        raise ValueError(
            f"{_shortened(scheme)}:// is not supported: use rtsp://, rtsps://, http://, https://, "
            "a path or /dev/video0"
        )
    if password is not None:
        raise ValueError("a file or device takes no password: remove password_file")
    path = unquote(urlsplit(url).path) if separator else url
    if not path:
        raise ValueError("file:// names no path: write file:///videos/front.mp4")
    kind: SourceKind = "device" if path.startswith("/dev/") else "file"
    return Source(kind=kind, location=path, display=path)


def redact(text: str, source: Source) -> str:
    """Return `text` without anything secret of `source`: for whatever FFmpeg or Python said."""
    text = text.replace(source.location, source.display)
    for secret in sorted(_secrets(source), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text


def _network_source(kind: SourceKind, url: str, password: str | None) -> Source:
    cure = (
        "write rtsp://user@host:554/path, with special characters of the user percent-encoded "
        "and the password in password_file"
    )
    try:
        parts = urlsplit(url)
        host, port, user = parts.hostname, parts.port, parts.username
    except ValueError:
        # urllib quotes what it could not read, and that may be a piece of the password
        raise ValueError(f"host or port of the address cannot be read: {cure}") from None
    if not host:
        raise ValueError(f"the address names no host: {cure}")
    place = f"[{host}]" if ":" in host else host
    if port is not None:
        place = f"{place}:{port}"
    if password is None:
        password = unquote(parts.password) if parts.password is not None else None
    elif not user:
        raise ValueError("there is a password but no user: write rtsp://USER@host/path")
    login = quote(unquote(user), safe="") if user else ""
    if user and password is not None:
        login = f"{login}:{quote(password, safe='')}"
    location = parts._replace(netloc=f"{login}@{place}" if login else place)
    shown = parts._replace(
        netloc=place,
        path=_SECRET_IN_PATH.sub(r"\1***", parts.path),
        query="***" if parts.query else "",
        fragment="",
    )
    return Source(kind=kind, location=urlunsplit(location), display=urlunsplit(shown))


def _secrets(source: Source) -> set[str]:
    """Return every spelling of the user, the password and the query's values."""
    if source.kind not in ("rtsp", "http"):
        return set()
    parts = urlsplit(source.location)
    found = {parts.username or "", parts.password or ""}
    found |= {value for _, _, value in (p.partition("=") for p in parts.query.split("&"))}
    found |= {match.group(2) for match in _SECRET_IN_PATH.finditer(parts.path)}
    return {spelling for secret in found for spelling in (secret, unquote(secret))} - {""}


def _shortened(scheme: str) -> str:
    """Return a scheme fit for a message: a mistyped address may hold its password before ://."""
    return scheme if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,11}", scheme) else "what stands before"
