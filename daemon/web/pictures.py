"""Pictures: a camera's newest sampled picture as JPEG, encoded once for all who look."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2

from edgewatch.daemon.web.hub import sse
from edgewatch.pipeline.types import CameraName, Frame

QUALITY = 72


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture."""

    jpeg: bytes
    time_seconds: float
    """The camera's own time, Unix."""
    width: int
    height: int


class Pictures:
    """Keeps the newest picture of each camera; nothing is encoded that nobody asks for."""

    def __init__(self) -> None:
        self._newest: dict[CameraName, tuple[Frame, Picture]] = {}
        self._messages: dict[CameraName, tuple[Picture, bytes]] = {}
        self.encoded = 0

    def of(self, frame: Frame) -> Picture:
        """Return a frame as JPEG; at once if it is the newest one that was encoded."""
        known = self._newest.get(frame.camera)
        if known is not None and known[0] is frame:
            return known[1]
        height, width = frame.pixels.shape[:2]
        bgr = cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR)
        done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done:
            raise ValueError(f"a picture of {width}x{height} could not be written as JPEG")
        self.encoded += 1
        picture = Picture(encoded.tobytes(), frame.time_seconds, width, height)
        self._newest[frame.camera] = (frame, picture)
        return picture

    def message(self, frame: Frame) -> bytes | None:
        """Return a frame as a message to the pages; None if it was the last one already."""
        picture = self.of(frame)
        known = self._messages.get(frame.camera)
        if known is not None and known[0] is picture:
            return None
        message = sse(
            "picture",
            {
                "camera": frame.camera,
                "at": round(picture.time_seconds, 3),
                "jpeg": base64.b64encode(picture.jpeg).decode("ascii"),
            },
        )
        self._messages[frame.camera] = (picture, message)
        return message

    def last_message(self, camera: CameraName) -> bytes:
        """Return the newest message again, for a page that has just come; there must be one."""
        return self._messages[camera][1]

    def forget(self, cameras: frozenset[CameraName]) -> None:
        """Let go of all pictures but those of these cameras."""
        for kept in (self._newest, self._messages):
            for camera in kept.keys() - cameras:
                kept.pop(camera)
