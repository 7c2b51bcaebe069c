"""A probe of webhook and push server: reached and trusted, without sending an alert."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
from yarl import URL

from edgewatch.config.settings import Settings
from edgewatch.pipeline.notify.post import Receiver, failure_words, trust
from edgewatch.pipeline.notify.trouble import Shut
from edgewatch.tools.findings import Finding, fail, ok, warn

LIMIT_SECONDS = 5.0
_MOST_BYTES = 4096


async def notify_findings(settings: Settings) -> list[Finding]:
    """Look at each way that is configured; none shows more of an address than its host."""
    findings = []
    if url := settings.webhook_url:
        receiver = Receiver(url, "webhook_url", "webhook_secret_file")
        findings.append(await _probed(settings, "webhook", receiver, _connect))
    if url := settings.ntfy_url:
        receiver = Receiver(url, "ntfy_url", "ntfy_token_file")
        findings.append(await _probed(settings, "ntfy", receiver, _ask_health))
    return findings


Probe = Callable[[Settings, Receiver], Awaitable[Finding]]


async def _probed(settings: Settings, name: str, receiver: Receiver, probe: Probe) -> Finding:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await probe(settings, receiver)
    except Shut as error:
        detail, _, cure = str(error).rpartition("; ")
        return fail(name, str(receiver), detail, f"{cure[:1].upper()}{cure[1:]}.")
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        # Its own text may hold the address.
        detail, _, cure = failure_words(error).partition("; ")
        cure = cure or f"check {receiver.key} in [notify]"
        return fail(name, str(receiver), detail, f"{cure[:1].upper()}{cure[1:]}.")


async def _connect(settings: Settings, receiver: Receiver) -> Finding:
    """Connect, with TLS if it is to be, and hang up: any request could be taken for an alert."""
    url = URL(receiver.url, encoded=True)
    began_seconds = time.monotonic()
    context = trust(settings.notify.ca_file) if url.scheme == "https" else None
    _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
    writer.close()
    took_ms = (time.monotonic() - began_seconds) * 1000
    signed = "signed" if settings.webhook_secret else "not signed: no webhook_secret_file"
    how = "with TLS" if context else "without TLS"
    return ok("webhook", str(receiver), f"connected in {took_ms:.0f} ms {how}; {signed}")


async def _ask_health(settings: Settings, receiver: Receiver) -> Finding:
    """Ask the server whether it is well. Source: docs.ntfy.sh, "Monitoring"."""
    url = URL(receiver.url, encoded=True)
    health = url.with_path(f"{url.path.rpartition('/')[0]}/v1/health")
    connector = aiohttp.TCPConnector(ssl=trust(settings.notify.ca_file))
    async with (
        aiohttp.ClientSession(connector=connector, trust_env=False) as session,
        session.get(health, allow_redirects=False) as answer,
    ):
        body = await answer.content.read(_MOST_BYTES)
    if answer.status == 200 and b'"healthy":true' in body.replace(b" ", b""):
        token = "with a token" if settings.ntfy_token else "without a token"
        return ok("ntfy", str(receiver), f"the server is well; pushed to {token}")
    return warn(
        "ntfy",
        str(receiver),
        f"answers {answer.status} where an ntfy server says that it is well",
        "Check ntfy_url in [notify]: the address of an ntfy server, then /TOPIC.",
    )
