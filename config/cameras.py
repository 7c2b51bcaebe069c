"""The `[[cameras]]` tables: a source, and what differs from the sections."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from edgewatch.config.addresses import Address
from edgewatch.config.regions import IgnoredRegions
from edgewatch.config.rules import broken
from edgewatch.config.schedule import Window
from edgewatch.config.sections import (
    CloseSeconds,
    CooldownSeconds,
    Count,
    FilePath,
    Fps,
    PixelArea,
    Probability,
    Prompt,
    Scene,
    Seconds,
    Section,
)

RESERVED_CAMERA_NAMES = frozenset({"drill", "mqtt", "replay", "stats", "status"})
"""Would collide with topics of edgewatch's own (`<base>/drill/…`) or with its credentials."""

SectionT = TypeVar("SectionT", bound=Section)
Texts = Annotated[tuple[str, ...], Field(strict=False)]


class CameraSettings(Section):
    """One `[[cameras]]` table: a source, and what differs from `[clips]`, `[events]`, `[engine]`.

    A key that is None here takes the value of its section.
    """

    name: str
    url: Annotated[str, Field(min_length=1)]
    """An address without password, an absolute path, or a device."""
    detect_url: Annotated[str, Field(min_length=1)] | None = None
    """Address of a smaller stream of the same camera, with the same user: judged instead."""
    password_file: FilePath | None = None
    enabled: bool = True
    loop: bool = False
    """Recordings only: start again at the end, as a live camera that never stops."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    ca_file: FilePath | None = None
    """Certificates that an encrypted camera's must be signed by; None: taken unchecked."""
    hwaccel: Literal["off", "auto", "cuda", "qsv", "vaapi", "drm", "amf"] = "off"
    """Hardware that decodes; where it is missing, decoding goes on in software."""
    schedule: Texts = ()
    """Local times at which it is judged; empty: always."""
    ignore: IgnoredRegions = ()
    """Regions of its picture that are not judged."""

    fps: Fps | None = None
    seconds: Seconds | None = None
    stride_seconds: Seconds | None = None
    pixels: PixelArea | None = None
    open_after: Count | None = None
    open_within: Count | None = None
    close_after_seconds: CloseSeconds | None = None
    close_below: Probability | None = None
    cooldown_seconds: CooldownSeconds | None = None
    threshold: Probability | None = None
    scene: Scene | None = None
    prompt: Prompt | None = None

    @property
    def judged_url(self) -> str:
        """What is judged: the smaller stream, if there is one."""
        return self.detect_url or self.url

    @property
    def from_network(self) -> bool:
        """Whether the source is an address and not a file or device."""
        return "://" in self.judged_url and not self.judged_url.startswith("file://")

    @property
    def user(self) -> str | None:
        """The user name in the address."""
        return Address.parse(self.judged_url).user if self.from_network else None

    def overlay(self, section: SectionT) -> SectionT:
        """Lay this camera's keys over a section. Raises ValidationError where they do not agree."""
        own = {key: getattr(self, key) for key in type(section).model_fields}
        own = {key: value for key, value in own.items() if value is not None}
        return type(section).model_validate(section.model_dump() | own) if own else section

    @field_validator("name")
    @classmethod
    def _name_is_a_topic_level(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9_-]{1,64}", value):
            broken(
                "must be 1 to 64 of a-z, 0-9, '_' and '-'",
                "It becomes part of MQTT topics and file names: write it in lower case, "
                "without spaces",
            )
        if value in RESERVED_CAMERA_NAMES:
            broken(f'"{value}" is a name that edgewatch uses itself', "Choose another name")
        return value

    @field_validator("url", "detect_url")
    @classmethod
    def _url_is_a_source_without_password(cls, value: str | None) -> str | None:
        if value is None or "://" not in value or value.startswith("file:///"):
            return value
        parts = Address.parse(value)
        if parts.has_password:
            broken(
                "holds a password, and the settings file is no place for one",
                "Keep the user (rtsp://USER@HOST/…), write the password into a file that only "
                "edgewatch may read, and name it as password_file",
            )
        if parts.scheme not in ("rtsp", "rtsps", "http", "https"):
            broken(
                f'starts with "{parts.scheme}://", which is no kind of camera known here',
                "Use rtsp://, rtsps://, http://, https://, the path of a file or folder, "
                "or a device such as /dev/video0",
            )
        return value

    @field_validator("schedule")
    @classmethod
    def _schedule_can_be_read(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                Window.parse(text)
            except ValueError as error:
                broken(
                    str(error),
                    'Write "Mon-Fri 08:00-18:00", "Sat,Sun 22:00-06:00" or "07:00-19:00"',
                )
        return value

    @model_validator(mode="after")
    def _keys_fit_the_source(self) -> Self:
        if self.loop and self.from_network:
            broken("is for recordings; this is a live address", "Remove loop", "loop")
        if self.password_file and not self.user:
            broken(
                f"is set, but the {'detect_url' if self.detect_url else 'url'} names no user",
                "Write the user into the address: rtsp://USER@HOST/…",
                "password_file",
            )
        if self.ca_file and not self.judged_url.startswith(("rtsps://", "https://")):
            broken(
                "is set, but the address is not encrypted",
                "Write rtsps:// or https://, or remove ca_file",
                "ca_file",
            )
        return self
