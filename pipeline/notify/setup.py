"""Settings to the ways that alerts go beside MQTT, and to what is sent on them."""

from __future__ import annotations

from contextlib import suppress

from edgewatch.config.settings import Settings
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.notify.drain import Outbox, Way, WayDrain, forget
from edgewatch.pipeline.notify.notices import NTFY, WAYS, WEBHOOK, Notices


def notices_of(settings: Settings) -> Notices:
    """Return what is to be sent of each event."""
    urls = {WEBHOOK: settings.webhook_url, NTFY: settings.ntfy_url}
    return Notices(
        ways=tuple(way for way, url in urls.items() if url),
        public_url=settings.web.public_url,
        push_end=settings.notify.ntfy_end,
    )


def ways_of(settings: Settings, clock: Clock) -> list[Way]:
    """Make each way that has an address.

    What speaks HTTP is imported where it is wanted: it takes a tenth of a second, at each start.
    """
    ways: list[Way] = []
    if url := settings.webhook_url:
        from edgewatch.pipeline.notify.webhook import Webhook

        ways.append(
            Webhook(
                url,
                secret=settings.webhook_secret,
                ca_file=settings.notify.ca_file,
                clock=clock,
            )
        )
    if url := settings.ntfy_url:
        from edgewatch.pipeline.notify.ntfy import Ntfy

        ways.append(
            Ntfy(
                url,
                token=settings.ntfy_token,
                ca_file=settings.notify.ca_file,
                evidence=settings.service.data_dir / "evidence",
            )
        )
    return ways


async def drains_of(settings: Settings, outbox: Outbox, clock: Clock) -> tuple[WayDrain, ...]:
    """Make the drain of each way; what waits for one that is configured no more is dropped."""
    ways = ways_of(settings, clock)
    for gone in set(WAYS) - {way.name for way in ways}:
        with suppress(StoreError):  # then it is dropped at the next start
            await forget(outbox, gone)
    return tuple(
        WayDrain(way, outbox, clock=clock, give_up_seconds=settings.notify.give_up_hours * 3600)
        for way in ways
    )
