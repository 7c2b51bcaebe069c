"""One request to the image server: bounded in time and size, redirected nowhere else."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.models.origins import origin_of, place_of

LONGEST_ANSWER_BYTES = 32 * 1024 * 1024
MOST_REDIRECTS = 3
BLOCK_BYTES = 65_536


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Connection:
    """Asks one server, a connection a request. Blocks; one caller at a time."""

    def __init__(
        self,
        *,
        token: str | None,
        ca_file: Path | None,
        limit_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._limit_seconds = limit_seconds
        self._now = now
        try:
            self._trust = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except (OSError, ssl.SSLError):
            raise SceneRefused(
                f"[scenes] ca_file: {ca_file} holds no certificates (PEM) that can be read"
            ) from None

    def get(self, url: str, limit_seconds: float) -> Reply:
        """Ask with GET. Raises SceneUnavailable, SceneInvalid, SceneRefused."""
        return self._ask("GET", url, None, min(limit_seconds, self._limit_seconds))

    def post(self, url: str, body: bytes) -> Reply:
        """Ask with POST. Raises SceneUnavailable, SceneInvalid, SceneRefused."""
        return self._ask("POST", url, body, self._limit_seconds)

    def _ask(self, method: str, url: str, body: bytes | None, limit_seconds: float) -> Reply:
        until = self._now() + limit_seconds
        current = url
        for _ in range(MOST_REDIRECTS + 1):
            reply, target = self._once(method, current, body, until)
            if target is None:
                return reply
            # The prompt, and a token, would go to whomever a redirect names: to a machine of the
            # inner network, say, that only this one reaches.
            if origin_of(target) != origin_of(url):
                raise SceneRefused(
                    f"the image server {place_of(url)} sends on to {place_of(target)}, which is "
                    "not followed. If it is meant, set [scenes] url to it"
                )
            current = target
        raise SceneUnavailable(f"the image server {place_of(url)} sends in circles")

    def _once(
        self, method: str, url: str, body: bytes | None, until: float
    ) -> tuple[Reply, str | None]:
        """Ask once; the second value is where a redirect leads."""
        link = self._open(url, until)
        parts = urlsplit(url)
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        try:
            link.request(method, path, body=body, headers=self._headers(body))
            response = link.getresponse()
            if response.status in (301, 302, 303, 307, 308):
                if method == "POST" and response.status not in (307, 308):
                    raise SceneUnavailable(
                        f"the image server {place_of(url)} sends on with {response.status}, as a "
                        "login page does. Set [scenes] url to its own address"
                    )
                return Reply(response.status, b""), urljoin(url, response.getheader("Location", ""))
            answer = self._read(link, response, url, until)
            if self._token is not None and response.status != 200:
                # Some servers repeat what they refuse, and their words are shown.
                answer = answer.replace(self._token.encode(), b"...")
            return Reply(response.status, answer), None
        except TimeoutError:
            raise self._too_late(url) from None
        except ssl.SSLCertVerificationError:
            raise SceneUnavailable(
                f"the certificate of {place_of(url)} is not trusted. Set [scenes] ca_file"
            ) from None
        except http.client.IncompleteRead:
            raise SceneInvalid("the image server's answer broke off in the middle") from None
        except (OSError, http.client.HTTPException) as error:
            raise SceneUnavailable(
                f"the image server {place_of(url)} cannot be asked ({_words(error)}). Is it "
                "running? [scenes] url names it"
            ) from None
        finally:
            link.close()

    def _open(self, url: str, until: float) -> http.client.HTTPConnection:
        scheme, host, port = origin_of(url)
        left_seconds = until - self._now()
        if left_seconds <= 0:
            raise self._too_late(url)
        if scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=left_seconds, context=self._trust
            )
        return http.client.HTTPConnection(host, port, timeout=left_seconds)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _read(
        self,
        link: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        url: str,
        until: float,
    ) -> bytes:
        """Read an answer: a server that sends a byte now and then does not hold us for ever."""
        body = bytearray()
        promised = response.length
        while True:
            left_seconds = until - self._now()
            if left_seconds <= 0:
                raise self._too_late(url)
            if link.sock is not None:
                link.sock.settimeout(left_seconds)
            block = response.read1(BLOCK_BYTES)
            if not block:
                break
            body += block
            if len(body) > LONGEST_ANSWER_BYTES:
                raise SceneInvalid(
                    f"the image server's answer is longer than {LONGEST_ANSWER_BYTES} bytes, "
                    "which no picture asked for is"
                )
        if promised is not None and len(body) < promised:
            raise SceneInvalid("the image server's answer broke off in the middle")
        return bytes(body)

    def _too_late(self, url: str) -> SceneUnavailable:
        return SceneUnavailable(
            f"the image server {place_of(url)} did not answer within {self._limit_seconds:g} s. "
            "Raise [scenes] request_seconds, or lower the steps"
        )


def _words(error: Exception) -> str:
    """Name an error of the network, without what a server may have said in it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
