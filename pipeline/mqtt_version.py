"""The version of MQTT to speak with a broker that may know only the older one. Pure."""

from __future__ import annotations

from typing import Literal

Version = Literal["5", "3.1.1"]
Wanted = Literal["auto", "5", "3.1.1"]
Trouble = Literal["version", "silent", "other"]
"""Why there was no connection: the broker named the version; it took the connection and hung up or
said nothing, as brokers do that cannot read an MQTT 5 CONNECT; anything else."""


class VersionChoice:
    """Which version the next connection speaks; with `auto`, MQTT 5 unless the broker cannot.

    What a broker turned out to speak is remembered for as long as this lives.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._known: Version | None = None
        self._on_trial = False
        """MQTT 5 got no answer, which may have had another reason: the older version is tried."""

    @property
    def version(self) -> Version:
        """What the next connection should speak."""
        if self._wanted != "auto":
            return self._wanted
        return "3.1.1" if self._on_trial else self._known or "5"

    @property
    def proven(self) -> bool:
        """Whether there is nothing to find out: the broker's silence means that it is away."""
        return self._wanted != "auto" or (self._known is not None and not self._on_trial)

    def accepted(self) -> None:
        """Note that the broker took a connection of this version."""
        # A broker that has spoken 5 before was only restarting when it hung up.
        self._known = self._known or self.version
        self._on_trial = False

    def failed(self, trouble: Trouble) -> bool:
        """Note that it did not; True if another version should be tried at once."""
        if self._wanted != "auto":
            return False
        if self._on_trial:
            self._on_trial = False
            return False
        if self.version == "3.1.1":
            if trouble == "version":
                self._known = None
            return False
        if trouble == "version":
            self._known = "3.1.1"
        elif trouble == "silent":
            self._on_trial = True
        return trouble != "other"
