"""The hub: asks which files a repository has, and opens them; the token goes to the hub alone.

Source: the Hugging Face Hub's API as huggingface_hub 2.4 uses it: `/api/models/<repo>/revision`,
`/api/models/<repo>/tree/<revision>?recursive=1` with pages by `Link`, `/<repo>/resolve/<revision>`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
from yarl import URL

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.models.origins import origin_of, refuse_redirect
from edgewatch.pipeline.scenes.models.selection import RemoteFile
from edgewatch.pipeline.scenes.models.trouble import Asked, TryAgain, error_of

LONGEST_ANSWER_BYTES = 32 * 1024 * 1024
MOST_REDIRECTS = 5
MOST_PAGES = 100
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, and how often tried again."""

    attempts: int = 6
    """In a row without a byte gained."""
    first_pause_seconds: float = 1.0
    """Doubles each time."""
    longest_pause_seconds: float = 60.0
    connect_seconds: float = 15.0
    silence_seconds: float = 60.0
    """Without a byte."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def pause_seconds(self, failures: int, asked_seconds: float | None) -> float:
        """Return how long to wait after so many failures in a row, from 1."""
        pause = self.first_pause_seconds * 2.0 ** (failures - 1)
        return min(self.longest_pause_seconds, max(pause, asked_seconds or 0.0))


class Hub:
    """One hub or mirror, asked by one session."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        token: str | None,
        token_file: str | None,
        patience: Patience,
        note: Callable[[str], None],
    ) -> None:
        """`note`: told, in a sentence, what is waited for."""
        self._session = session
        self._url = url
        self._token = token
        self._token_file = token_file
        self._patience = patience
        self._note = note
        self._failures = 0

    @property
    def url(self) -> str:
        """Its address, without '/' at the end."""
        return self._url

    async def revision(self, repo: str) -> str:
        """Return the commit that a repository's main branch is at. Raises SceneError."""
        answer, _ = await self._json(repo, f"{self._url}/api/models/{repo}/revision/main")
        commit = answer.get("sha") if isinstance(answer, dict) else None
        if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}", commit):
            raise self._unreadable(repo)
        return commit

    async def listing(self, repo: str, revision: str) -> list[RemoteFile]:
        """Return every file of a repository. Raises SceneError."""
        url: str | None = f"{self._url}/api/models/{repo}/tree/{revision}?recursive=1"
        files: list[RemoteFile] = []
        for _ in range(MOST_PAGES):
            if url is None:
                return files
            answer, url = await self._json(repo, url)
            if not isinstance(answer, list):
                break
            files += [self._file(entry, repo) for entry in answer if _is_file(entry)]
        raise self._unreadable(repo)

    @asynccontextmanager
    async def file(
        self, repo: str, revision: str, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a file; answers with 200, 206 or 416. Raises SceneError, TryAgain."""
        url = f"{self._url}/{repo}/resolve/{revision}/{quote(path)}"
        async with self._opened(repo, url, headers) as response:
            yield response

    async def insist(self, attempt: Callable[[], Awaitable[_ResultT]], what: str) -> _ResultT:
        """Try until it works. Raises SceneUnavailable when patience ends, and what is no TryAgain.

        An attempt that comes further than those before says so by calling `gained`.
        """
        self._failures = 0
        while True:
            try:
                return await attempt()
            except TryAgain as trouble:
                await self._pause(trouble, what)

    def gained(self) -> None:
        """Begin to count failures anew."""
        self._failures = 0

    async def _pause(self, trouble: TryAgain, what: str) -> None:
        self._failures += 1
        if self._failures >= self._patience.attempts:
            raise SceneUnavailable(
                f"{what}: {trouble.what}, {self._failures} times in a row. What is there is "
                "kept: run it again to go on"
            ) from None
        seconds = self._patience.pause_seconds(self._failures, trouble.wait_seconds)
        self._note(f"{what}: {trouble.what}; trying again in {seconds:.0f} s")
        await self._patience.sleep(seconds)

    async def _json(self, repo: str, url: str) -> tuple[Any, str | None]:
        """Return a document, and the address of its next page."""

        async def attempt() -> tuple[Any, str | None]:
            async with self._opened(repo, url, {"Accept": "application/json"}) as response:
                body = await _bounded(response)
                link = response.links.get("next")
                following = None if link is None else link.get("url")
            try:
                return json.loads(body), self._next_page(following, repo)
            except ValueError:
                raise self._unreadable(repo) from None

        return await self.insist(attempt, repo)

    def _next_page(self, link: object, repo: str) -> str | None:
        if link is None:
            return None
        if origin_of(str(link)) != origin_of(self._url):
            raise self._unreadable(repo)
        return str(link)

    @asynccontextmanager
    async def _opened(
        self, repo: str, url: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask, following redirects that are allowed. Raises SceneError, TryAgain."""
        asked = Asked(self._url, repo, self._token_file if self._token else None)
        current = url
        for _ in range(MOST_REDIRECTS + 1):
            sent = {"Accept-Encoding": "identity", **headers}
            if self._token and origin_of(current) == origin_of(self._url):
                sent["Authorization"] = f"Bearer {self._token}"
            try:
                async with self._session.get(
                    URL(current, encoded=True), headers=sent, allow_redirects=False
                ) as response:
                    if response.status in (200, 206, 416):
                        yield response
                        return
                    if response.status not in REDIRECTS:
                        raise error_of(response.status, asked, response.headers.get("Retry-After"))
                    current = _target(current, response)
            except TimeoutError:
                raise TryAgain("no answer in time") from None
            except (aiohttp.ClientError, ConnectionError) as error:
                raise TryAgain(_words(error)) from None
        raise SceneUnavailable(f"{self._url} sends from one address to the next, without end")

    def _file(self, entry: Mapping[str, Any], repo: str) -> RemoteFile:
        lfs = entry.get("lfs")
        large = lfs if isinstance(lfs, Mapping) else {}
        path, size_bytes = entry.get("path"), large.get("size", entry.get("size"))
        blob, sha256 = entry.get("oid"), large.get("oid")
        texts_right = isinstance(path, str) and isinstance(blob, str)
        hash_right = (
            isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256) is not None
            if large
            else isinstance(blob, str) and re.fullmatch(r"[0-9a-f]{40}", blob) is not None
        )
        size_right = isinstance(size_bytes, int) and size_bytes >= 0
        if not (texts_right and hash_right and size_right):
            raise self._unreadable(repo)
        return RemoteFile(str(path), int(str(size_bytes)), sha256, str(blob))

    def _unreadable(self, repo: str) -> SceneUnavailable:
        return SceneUnavailable(
            f"{self._url} does not answer as the Hugging Face hub does (asked for {repo}). "
            "Correct [scenes] hub_url; behind a login page, log in first"
        )


def _is_file(entry: object) -> bool:
    return isinstance(entry, Mapping) and entry.get("type") == "file"


def _target(current: str, response: aiohttp.ClientResponse) -> str:
    location = response.headers.get("Location", "")
    try:
        target = str(URL(current, encoded=True).join(URL(location, encoded=True)))
    except ValueError:
        target = ""
    refuse_redirect(current, target)
    return target


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > LONGEST_ANSWER_BYTES:
            raise SceneUnavailable("the hub's answer is longer than any list of files is")
    return bytes(body)


def _words(error: Exception) -> str:
    """Name what went wrong with the network; addresses, which may be signed, stay out."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "the server's certificate is not trusted (see [scenes] ca_file)"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError() | ConnectionError():
            return "the connection broke"
    return "the server's answer cannot be read"
