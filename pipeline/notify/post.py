"""Post: one HTTP request to a receiver, with every failure sorted by its remedy.

An address may be a secret (many webhooks have a token in their path), so that nothing here ever
tells more of it than scheme, host and port.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from yarl import URL

import edgewatch
from edgewatch.pipeline.notify.trouble import MessageRefused, Shut, TryAgain

REQUEST_SECONDS = 10.0
CONNECT_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 900.0
"""What a receiver may ask us to wait; more counts as this."""
MOST_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where messages go; its text shows no more than scheme, host and port."""

    url: str = field(repr=False)
    key: str
    """The setting that names it, for cures."""
    secret_key: str
    """The setting that lets us in."""

    def __str__(self) -> str:
        url = URL(self.url)
        return f"{url.scheme}://{url.host}:{url.port}"


class Post:
    """A pool of connections to one receiver; belongs to one event loop.

    Redirects are not followed (secrets would go along), the environment's proxies are not used,
    no cookie is kept.
    """

    def __init__(
        self,
        receiver: Receiver,
        *,
        ca_file: Path | None,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._receiver = receiver
        self._request_seconds = request_seconds
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send one message. Raises Trouble, MessageRefused."""
        session = self._opened()
        try:
            async with session.request(
                method,
                URL(self._receiver.url, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                status, retry_after = response.status, response.headers.get("Retry-After")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Its own text may hold the address.
            raise TryAgain(f"{self._receiver} {failure_words(error)}") from None
        if not 200 <= status < 300:
            raise self._refusal(status, retry_after)

    async def close(self) -> None:
        """Close every connection; idempotent."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, made anew if need be. Raises Shut if `ca_file` is none."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=MOST_CONNECTIONS, keepalive_timeout=15.0, ssl=trust(self._ca_file)
                ),
                headers={"User-Agent": f"edgewatch/{edgewatch.__version__}"},
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=self._request_seconds, sock_connect=CONNECT_SECONDS
                ),
                trust_env=False,
            )
        return self._session

    def _refusal(self, status: int, retry_after: str | None) -> TryAgain | Shut | MessageRefused:
        receiver = self._receiver
        if 300 <= status < 400:
            return Shut(
                f"{receiver} answers {status}, a redirect, which is not followed; set "
                f"{receiver.key} to the address that it leads to"
            )
        match status:
            case 401 | 403:
                return Shut(
                    f"{receiver} does not let us in ({status}); check {receiver.secret_key} in "
                    "[notify]"
                )
            case 404 | 405 | 410:
                return Shut(
                    f"{receiver} has nothing at this address ({status}); check {receiver.key} in "
                    "[notify]"
                )
            case 408 | 425 | 429:
                return TryAgain(f"{receiver} is busy ({status})", _seconds(retry_after))
        if 400 <= status < 500:
            return MessageRefused(f"{receiver} does not take this message ({status})")
        return TryAgain(f"{receiver} has a fault ({status})", _seconds(retry_after))


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Return what certificates are checked against. Raises Shut if `ca_file` holds none."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise Shut(
            f"{ca_file} cannot be used ({error.strerror or 'no certificates'}); check ca_file in "
            "[notify]"
        ) from None


def failure_words(error: BaseException) -> str:
    """Say by its class what went wrong."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            return "shows a certificate that is not trusted; check ca_file in [notify]"
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return "cannot be looked up; check the name and this machine's DNS"
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return "does not speak TLS as expected"
        case aiohttp.ClientConnectorError() | ConnectionRefusedError():
            return "cannot be reached; check that it runs and that nothing lies between"
        case TimeoutError():
            return "did not answer in time"
        case aiohttp.InvalidURL() | ValueError():
            return "has an address that cannot be used"
    return "broke the connection"


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After in seconds; a date, which is seldom, counts as none."""
    if retry_after is not None:
        with suppress(ValueError):
            return min(max(float(retry_after), 0.0), LONGEST_RETRY_SECONDS)
    return None
