"""ntfy: a push message with a thumbnail. Source: docs.ntfy.sh, "Publishing"."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from edgewatch.pipeline.notify.notices import NTFY
from edgewatch.pipeline.notify.post import Post, Receiver
from edgewatch.pipeline.notify.trouble import MessageRefused

THUMBNAIL_TRIES = 10
THUMBNAIL_WAIT_SECONDS = 0.1
"""A thumbnail is written within milliseconds of the event; no alert waits for it much longer."""
MOST_THUMBNAIL_BYTES = 2_000_000
"""What ntfy.sh takes without an account; ours have some 50 kB."""


class Ntfy:
    """Publishes to one topic."""

    name = NTFY

    def __init__(
        self, url: str, *, token: str | None, ca_file: Path | None, evidence: Path
    ) -> None:
        """`evidence`: the folder that paths of thumbnails begin at."""
        receiver = Receiver(url, "ntfy_url", "ntfy_token_file")
        self.where = str(receiver)
        self._post = Post(receiver, ca_file=ca_file)
        self._token = token
        self._evidence = evidence

    async def deliver(self, payload: bytes) -> None:
        """Send one message. Raises Trouble, MessageRefused.

        A server that takes no attachments gets the text alone.
        """
        notice = _notice(payload)
        headers = self._headers(notice)
        if thumbnail := await self._thumbnail(notice["thumbnail"]):
            attached = headers | {
                "Message": header_text(notice["message"].replace("\n", "\\n")),
                "Filename": f"{notice['event_id']}.jpg",
                "Content-Type": "image/jpeg",
            }
            try:
                await self._post.send("PUT", thumbnail, attached)
            except MessageRefused:
                pass
            else:
                return
        await self._post.send("PUT", notice["message"].encode(), headers)

    async def close(self) -> None:
        """Close every connection; idempotent."""
        await self._post.close()

    def _headers(self, notice: dict[str, Any]) -> dict[str, str]:
        headers = {
            "Title": header_text(notice["title"]),
            "Priority": str(notice["priority"]),
            "Tags": ",".join(notice["tags"]),
        }
        if notice["click"]:
            headers["Click"] = notice["click"]
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    async def _thumbnail(self, relative: str | None) -> bytes | None:
        """Read the JPEG, None if there is none in time."""
        if relative is None:
            return None
        for _ in range(THUMBNAIL_TRIES):
            try:
                content = (self._evidence / relative).read_bytes()
            except OSError:
                content = b""
            if content.endswith(b"\xff\xd9"):  # EOI: it is there to its end
                return content if len(content) <= MOST_THUMBNAIL_BYTES else None
            await asyncio.sleep(THUMBNAIL_WAIT_SECONDS)
        return None


def header_text(text: str) -> str:
    """Return text fit for a header: beyond ASCII as an encoded word. Source: RFC 2047, section 2.

    ntfy takes one of any length.
    """
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    if line.isascii():
        return line
    return f"=?UTF-8?B?{b64encode(line.encode('utf-8', errors='replace')).decode()}?="


def _notice(payload: bytes) -> dict[str, Any]:
    try:
        notice: dict[str, Any] = json.loads(payload)
    except ValueError as error:
        raise MessageRefused(f"what was kept for ntfy is no message: {error!r}") from error
    return notice
