"""Which server may be asked what: where the token goes, and which redirects are followed. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from edgewatch.pipeline.errors import SceneRefused


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address. Raises SceneRefused if it has none."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), (parts.hostname or "").lower(), parts.port
    except ValueError:
        scheme, host, port = "", "", None
    if scheme not in ("http", "https") or not host:
        raise SceneRefused("the server named an address that is none of http:// or https://")
    return scheme, host, port or (443 if scheme == "https" else 80)


def is_loopback(url: str) -> bool:
    """Whether an address is one of this machine's own."""
    _, host, _ = origin_of(url)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_redirect(source: str, target: str) -> None:
    """Refuse a redirect that leaves encryption or the first server unencrypted.

    Other servers are followed to by https alone, as the hub sends large files from elsewhere; on
    loopback plain http may lead to plain http. Raises SceneRefused.
    """
    if origin_of(source) == origin_of(target):
        return
    if origin_of(target)[0] == "https" or (is_loopback(source) and is_loopback(target)):
        return
    raise SceneRefused(
        f"{place_of(source)} sends on to {place_of(target)} without encryption; nothing was "
        "fetched from there. Set [scenes] hub_url to the https:// address of the hub or mirror"
    )


def refuse_open_token(url: str, setting: str) -> None:
    """Refuse to send a token unencrypted over a network. Raises SceneRefused."""
    if origin_of(url)[0] != "https" and not is_loopback(url):
        raise SceneRefused(
            f"the token of {setting} would go to {place_of(url)} unencrypted. Use an https:// "
            f"address, or remove {setting}"
        )


def place_of(url: str) -> str:
    """Return scheme, host and port, for words: queries of signed addresses are secrets."""
    scheme, host, port = origin_of(url)
    return f"{scheme}://{host}:{port}"
