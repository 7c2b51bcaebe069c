"""The webhook: each step of an event as signed JSON."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.notify.notices import WEBHOOK
from edgewatch.pipeline.notify.post import REQUEST_SECONDS, Post, Receiver
from edgewatch.pipeline.notify.trouble import MessageRefused


class Webhook:
    """POSTs messages to one address."""

    name = WEBHOOK

    def __init__(
        self,
        url: str,
        *,
        secret: str | None,
        ca_file: Path | None,
        clock: Clock,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        receiver = Receiver(url, "webhook_url", "webhook_secret_file")
        self.where = str(receiver)
        self._post = Post(receiver, ca_file=ca_file, request_seconds=request_seconds)
        self._secret = secret
        self._clock = clock

    async def deliver(self, payload: bytes) -> None:
        """Send one message. Raises Trouble, MessageRefused."""
        timestamp = str(int(self._clock.wall_seconds()))
        headers = {
            "Content-Type": "application/json",
            "X-Edgewatch-Timestamp": timestamp,
            "X-Edgewatch-Delivery": delivery_id(payload),
        }
        if self._secret is not None:
            headers["X-Edgewatch-Signature"] = signature(self._secret, timestamp, payload)
        await self._post.send("POST", payload, headers)

    async def close(self) -> None:
        """Close every connection; idempotent."""
        await self._post.close()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign `timestamp.body` with HMAC-SHA256, so that neither can be changed nor used late."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def delivery_id(payload: bytes) -> str:
    """Name a message, the same at each attempt: `event_id/type/revision`. Raises MessageRefused."""
    try:
        event = json.loads(payload)
        return f"{event['event_id']}/{event['type']}/{event['revision']}"
    except (ValueError, KeyError, TypeError) as error:
        raise MessageRefused(f"what was kept for the webhook is no event: {error!r}") from error
