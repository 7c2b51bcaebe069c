"""The MQTT setup: what `[mqtt]` of the settings means for publisher and announcer."""

from __future__ import annotations

import edgewatch
from edgewatch.config.settings import Settings
from edgewatch.pipeline.homeassistant import HomeAssistant
from edgewatch.pipeline.mqtt_inbox import Reminder
from edgewatch.pipeline.mqtt_version import Wanted


def home_assistant(settings: Settings) -> HomeAssistant | None:
    """Return how cameras are announced to Home Assistant, None if they are not to be."""
    if not settings.mqtt.homeassistant_discovery:
        return None
    return HomeAssistant(
        settings.mqtt.homeassistant_prefix,
        version=edgewatch.__version__,
        thumbnails=settings.mqtt.thumbnails,
        page_url=settings.web.public_url if settings.web.port else None,
    )


def reminder(home: HomeAssistant | None) -> Reminder | None:
    """Return when Home Assistant is told again."""
    return Reminder(home.birth_topic, below=f"{home.prefix}/device/") if home else None


def wanted_version(settings: Settings) -> Wanted:
    """Return the version of MQTT to speak; our own broker has the older one only."""
    return "3.1.1" if settings.mqtt.embedded else settings.mqtt.protocol
