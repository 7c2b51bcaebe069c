"""Notify: alerts beside MQTT, to a webhook and as push messages, from the same outbox."""
