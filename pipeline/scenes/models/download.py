"""One file from the hub onto the disk: resumed, proved, and only then under its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

import aiohttp

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.models.hub import Hub
from edgewatch.pipeline.scenes.models.part import Part
from edgewatch.pipeline.scenes.models.selection import RemoteFile
from edgewatch.pipeline.scenes.models.trouble import TryAgain

BLOCK_BYTES = 1024 * 1024


class Progress(Protocol):
    """Who is told how far it is."""

    def plan(self, what: str, total_bytes: int, here_bytes: int) -> None:
        """So much is wanted, and so much of it is here already."""

    def file(self, path: str) -> None:
        """The next file."""

    def advance(self, gained_bytes: int) -> None:
        """So much more is here; negative: less, as something is fetched anew."""

    def note(self, text: str) -> None:
        """A sentence for the person who waits."""


class Download:
    """Fetches files of one revision of a repository, one after the other."""

    def __init__(self, hub: Hub, repo: str, revision: str, progress: Progress) -> None:
        self._hub = hub
        self._repo = repo
        self._revision = revision
        self._progress = progress
        self._furthest_bytes = 0
        """How far any attempt at the file in hand came: beginning anew for ever is no progress."""

    async def fetch(self, wanted: RemoteFile, target: Path) -> str:
        """Fetch a file and return its sha256. Raises SceneError, OSError; parts stay for later."""
        self._progress.file(wanted.path)
        part = Part(target, wanted)
        try:
            taken_up = part.have_bytes > 0
            self._furthest_bytes = part.have_bytes
            await self._complete(part, wanted)
            sha256 = part.proved_sha256()
            if sha256 is None and taken_up:
                self._progress.note(f"{wanted.path}: what was here of it was wrong; once more")
                self._drop(part)
                await self._complete(part, wanted)
                sha256 = part.proved_sha256()
            if sha256 is None:
                self._drop(part)
                raise SceneRefused(
                    f"{wanted.path} of {self._repo} is not what the hub lists (its hash is "
                    "another); it was removed. Try again; if it stays so, do not trust [scenes] "
                    "hub_url or what lies between"
                )
            part.finish()
        finally:
            part.close()
        return sha256

    async def _complete(self, part: Part, wanted: RemoteFile) -> None:
        """Fetch what is missing, with new attempts as long as there is hope."""

        async def attempt() -> None:
            while not part.complete:
                await self._stream(part, wanted)

        await self._hub.insist(attempt, wanted.path)

    async def _stream(self, part: Part, wanted: RemoteFile) -> None:
        """Take what one answer brings. Raises TryAgain, SceneError, OSError."""
        headers = {}
        if part.have_bytes:
            headers["Range"] = f"bytes={part.have_bytes}-"
            if part.etag:
                headers["If-Range"] = part.etag
        async with self._hub.file(self._repo, self._revision, wanted.path, headers) as response:
            if response.status == 206 and _goes_on(response, part.have_bytes, wanted.size_bytes):
                part.go_on()
            elif response.status == 200:
                self._begin(part, wanted, response)
            else:
                # 416, or the middle of something else: not the content this is a part of.
                self._drop(part)
                raise TryAgain("the file changed on the server")
            try:
                async for block in response.content.iter_chunked(BLOCK_BYTES):
                    part.write(block)
                    self._progress.advance(len(block))
                    if part.have_bytes > self._furthest_bytes:
                        self._furthest_bytes = part.have_bytes
                        self._hub.gained()
            finally:
                part.close()
        if not part.complete:
            raise TryAgain("the connection ended early")

    def _begin(self, part: Part, wanted: RemoteFile, response: aiohttp.ClientResponse) -> None:
        length = response.content_length
        if length is not None and length != wanted.size_bytes:
            raise SceneUnavailable(
                f"{wanted.path} of {self._repo}: the server sends {length} bytes, listed are "
                f"{wanted.size_bytes}. If [scenes] hub_url is a mirror, let it fetch the file anew"
            )
        self._progress.advance(-part.have_bytes)
        part.begin(response.headers.get("ETag"))

    def _drop(self, part: Part) -> None:
        self._progress.advance(-part.have_bytes)
        part.drop()


def _goes_on(response: aiohttp.ClientResponse, have_bytes: int, size_bytes: int) -> bool:
    """Whether an answer is the rest of the content: `Content-Range: bytes 100-299/300`."""
    match = re.fullmatch(
        r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip()
    )
    if match is None or have_bytes == 0:
        return False
    start, end, total = match.groups()
    return int(start) == have_bytes and int(end) < size_bytes and total in ("*", str(size_bytes))
