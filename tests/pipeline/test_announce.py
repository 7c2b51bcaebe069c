from __future__ import annotations

from edgewatch.pipeline.announce import MAX_THUMBNAIL_BYTES, Announcer
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.homeassistant import HomeAssistant
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.types import CameraName, Health

FRONT = CameraName("front")
DISCOVERY = "homeassistant/device/edgewatch/front/config"
PICTURE = b"\xff\xd8\xff picture"


class Speaker:
    """Keeps what is retained as it came."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.forgotten: list[str] = []
        self.sent: list[tuple[str, bytes]] = []

    def retain(self, topic: str, payload: bytes, *, qos: int = 1) -> None:
        self.retained[topic] = payload

    def forget(self, topic: str) -> None:
        self.retained.pop(topic, None)
        self.forgotten.append(topic)

    def send(self, topic: str, payload: bytes) -> None:
        self.sent.append((topic, payload))


def make_announcer(
    speaker: Speaker, *, home: bool = True, thumbnails: bool = True, replay: bool = False
) -> Announcer:
    return Announcer(
        speaker,
        Topics(replay=replay),
        SystemClock(),
        home=HomeAssistant("homeassistant", "1", thumbnails) if home else None,
        thumbnails=thumbnails,
    )


class TestDiscovery:
    def test_camera_is_announced_when_it_comes_and_taken_away_when_it_goes(self) -> None:
        speaker = Speaker()
        announcer = make_announcer(speaker)
        announcer.introduce(FRONT)
        assert set(speaker.retained) == {DISCOVERY}
        announcer.removed(FRONT)
        assert speaker.retained == {}
        assert speaker.forgotten[0] == DISCOVERY
        assert set(speaker.forgotten) == set(announcer.retained_of(FRONT))

    def test_switched_off_nothing_is_said(self) -> None:
        speaker = Speaker()
        announcer = make_announcer(speaker, home=False)
        announcer.introduce(FRONT)
        announcer.removed(FRONT)
        assert speaker.retained == {}
        assert DISCOVERY not in speaker.forgotten

    def test_recordings_are_no_devices(self) -> None:
        speaker = Speaker()
        make_announcer(speaker, replay=True).introduce(FRONT)
        assert (speaker.retained, speaker.sent) == ({}, [])


class TestThumbnail:
    def test_picture_is_retained_where_pictures_may_leave_the_box(self) -> None:
        speaker = Speaker()
        announcer = make_announcer(speaker)
        announcer.introduce(FRONT)
        announcer.thumbnail(FRONT, PICTURE)
        assert speaker.retained["edgewatch/front/thumbnail"] == PICTURE

    def test_otherwise_it_is_not(self) -> None:
        speaker = Speaker()
        announcer = make_announcer(speaker, thumbnails=False)
        announcer.introduce(FRONT)
        announcer.thumbnail(FRONT, PICTURE)
        assert "edgewatch/front/thumbnail" not in speaker.retained
        assert "edgewatch/front/thumbnail" not in announcer.retained_of(FRONT)

    def test_too_large_a_picture_is_left_out(self) -> None:
        speaker = Speaker()
        announcer = make_announcer(speaker)
        announcer.introduce(FRONT)
        announcer.thumbnail(FRONT, PICTURE)
        announcer.thumbnail(FRONT, b"\xff\xd8\xff" + bytes(MAX_THUMBNAIL_BYTES))
        assert speaker.retained["edgewatch/front/thumbnail"] == PICTURE


class TestGoneCamera:
    def test_what_comes_late_of_it_is_not_put_up_again(self) -> None:
        """Nobody would take it away any more."""
        speaker = Speaker()
        announcer = make_announcer(speaker)
        announcer.introduce(FRONT)
        announcer.health(Health(FRONT, "online", 1.8e9))
        announcer.removed(FRONT)
        announcer.coverage(FRONT, {"judged": 1000}, 1.8e9)
        announcer.thumbnail(FRONT, PICTURE)
        assert speaker.retained == {}
