"""Transport: requests to a server over HTTP, with every failure sorted by its remedy."""

from __future__ import annotations

import io
import ssl
import time
from pathlib import Path

import aiohttp

from edgewatch.pipeline.engines.remote.statuses import trouble_of
from edgewatch.pipeline.engines.remote.trouble import (
    AnswerBroken,
    ServerGone,
    ServerLost,
    SettingsWrong,
)

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 4.0
"""An unused connection is closed before uvicorn, under vLLM and trtllm-serve alike, would (5 s)."""
LONGEST_REPLY_BYTES = 1_000_000
"""Twenty tokens, or a few sentences, are some thousand bytes."""


class Transport:
    """One pool of connections to all servers; belongs to one event loop.

    Redirects are not followed (the token would go along), the environment's proxies are not used,
    no cookie is kept.
    """

    def __init__(self, *, token: str | None, ca_file: Path | None) -> None:
        self._token = token
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make ready. Raises SettingsWrong if `ca_file` is none."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        self._session = aiohttp.ClientSession(
            # Who may ask how much at once is decided in `seats`.
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=IDLE_SECONDS, ssl=_trust(self._ca_file)
            ),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close every connection; idempotent."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, url: str, *, limit_seconds: float) -> bytes:
        """Return what is at an address. Raises Trouble."""
        return await self._ask("GET", url, limit_seconds, body=None, request_id=None)

    async def post(self, url: str, body: bytes, *, request_id: str, limit_seconds: float) -> bytes:
        """Send JSON and return the answer. Raises Trouble.

        Being cancelled closes the connection, and by that the request on the server. `request_id`
        is new for each attempt: it names it in both logs.
        """
        return await self._ask("POST", url, limit_seconds, body=body, request_id=request_id)

    async def _ask(
        self,
        method: str,
        url: str,
        limit_seconds: float,
        *,
        body: bytes | None,
        request_id: str | None,
    ) -> bytes:
        if self._session is None:
            raise ServerGone("is asked after the end")
        headers = {"X-Request-Id": request_id} if request_id else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        limits = aiohttp.ClientTimeout(total=limit_seconds, sock_connect=CONNECT_SECONDS)
        try:
            async with self._session.request(
                method,
                url,
                # A file is sent in pieces, with its length told beforehand.
                data=None if body is None else io.BytesIO(body),
                headers=headers,
                timeout=limits,
                allow_redirects=False,
            ) as response:
                content = await _read(response)
                if response.status != 200:
                    raise trouble_of(
                        response.status,
                        response.headers,
                        content,
                        token=self._token,
                        now_seconds=time.time(),
                    )
                return content
        except aiohttp.ConnectionTimeoutError:
            raise ServerLost(f"let nobody connect within {CONNECT_SECONDS:g} s") from None
        except TimeoutError:
            raise ServerGone(f"did not answer within {limit_seconds:.3g} s") from None
        except aiohttp.ClientConnectorCertificateError as error:
            reason = _reason(error.certificate_error)
            raise SettingsWrong(
                f"shows a certificate that is not trusted ({reason})",
                "set [engine] ca_file to the certificate of who signed it, and url to the name in "
                "it",
            ) from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise ServerLost(f"broke the connection ({_reason(error)})") from None
        except aiohttp.ClientError as error:
            raise AnswerBroken(f"does not speak HTTP ({type(error).__name__})") from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read a whole answer, up to a length. Raises AnswerBroken."""
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > LONGEST_REPLY_BYTES:
            response.close()
            raise AnswerBroken(f"answers with more than {LONGEST_REPLY_BYTES} bytes")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise AnswerBroken("answers compressed, which it was asked not to")
    return bytes(content)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Return whom to trust: the system's authorities, and those of `ca_file`."""
    trust = ssl.create_default_context()
    if ca_file is not None:
        try:
            trust.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsWrong(
                f"cannot be asked: {ca_file} holds no certificate that can be read "
                f"({_reason(error)})",
                "set [engine] ca_file to one in PEM form",
            ) from None
    return trust


def _reason(error: BaseException) -> str:
    """Return a connection's error in few words, without addresses."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__
    return type(error).__name__
