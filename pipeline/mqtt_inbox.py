"""The inbox: what comes in from the broker, told apart into commands, reminders and nonsense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.complaints import Complaints
from edgewatch.pipeline.messages import ONLINE, Topics

MAX_COMMAND_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Reminder:
    """Who asks for what is retained by saying `online`, as Home Assistant does when it starts."""

    topic: str
    below: str
    """Beginning of the topics that are then published again."""


class Inbox:
    """Hands on what can be acted on, and counts the rest.

    `on_command` gets (camera, key, payload); `on_bad_command` (camera, key, why) of those that no
    payload could mend; `on_reminder` the beginning of the topics that somebody asks for.
    """

    def __init__(
        self,
        topics: Topics,
        *,
        on_command: Callable[[str, str, bytes], object],
        on_bad_command: Callable[[str, str, str], object],
        reminder: Reminder | None,
        on_reminder: Callable[[str], object],
        clock: Clock,
    ) -> None:
        self.ignored = 0
        """Commands that were malformed, too long or retained."""
        self._topics = topics
        self._on_command = on_command
        self._on_bad_command = on_bad_command
        self._reminder = reminder
        self._on_reminder = on_reminder
        self._complaints = Complaints(clock.monotonic_seconds)

    def take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Take a message in."""
        if self._reminder and topic == self._reminder.topic:
            # What is retained of it came with our own subscribing: all was told just now.
            if payload == ONLINE and not retained:
                self._on_reminder(self._reminder.below)
            return
        command = self._topics.command_of(topic)
        if command is not None and not retained and len(payload) <= MAX_COMMAND_BYTES:
            self._on_command(*command, payload)
            return
        self.ignored += 1
        if command is None:
            why = "this is no topic for commands"
        elif retained:
            # It would be carried out again at each connection, for ever.
            why = "a command must not be retained: clear it with an empty retained message"
        else:
            why = f"it is longer than {MAX_COMMAND_BYTES} bytes"
        self._complaints.say("command ignored", topic=topic[:200], reason=why)
        if command is not None:
            self._on_bad_command(*command, why)
