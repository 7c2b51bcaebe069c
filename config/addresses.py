"""An address (URL) taken apart, as far as the settings' rules need it."""

from __future__ import annotations

from typing import NamedTuple, Self
from urllib.parse import urlsplit

from edgewatch.config.rules import broken


class Address(NamedTuple):
    """Parts of an address; never its password."""

    scheme: str
    user: str | None
    has_password: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take an address apart. Raises BrokenRule, which does not repeat the address."""
        cure = "Write it as scheme://host:port/path"
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError:
            # Its text repeats part of the address, and with it perhaps a password.
            broken("is no valid address (host or port cannot be read)", cure)
        if not host:
            broken("names no host", cure)
        return cls(parts.scheme.lower(), parts.username or None, parts.password is not None)
