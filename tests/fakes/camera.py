"""A camera without a thread: tests say what it sees."""

from __future__ import annotations

from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.errors import CameraError
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName, Clip, Frame, Health, SourceInfo
from edgewatch.pipeline.watch import CameraThread, Feed, Reports
from tests.fakes.clips import make_clip


class FakeCamera:
    """Keeps the contract of a camera thread: closes its outlet and reports its end once."""

    def __init__(
        self, feed: Feed, first_index: int, outlet: Mailbox[Clip], reports: Reports
    ) -> None:
        self.feed = feed
        self.next_index = first_index
        self.outlet = outlet
        self.reports = reports
        self.started = 0
        self.ended = False
        self.hung = False
        self.latest_frame: Frame | None = None

    def start(self) -> None:
        self.started += 1
        self.reports.on_info(SourceInfo("h264", 640, 360, 25.0))

    def stop(self) -> None:
        """End at once, unless it hangs."""
        if not self.hung:
            self.end()

    def join(self, timeout_seconds: float) -> bool:
        return self.ended

    def end(self, error: CameraError | None = None) -> None:
        """The stream is over."""
        if not self.ended:
            self.ended = True
            self.reports.on_end(error)
            self.outlet.close()

    def online(self, since_seconds: float = 0.0) -> None:
        self.reports.on_health(Health(self.feed.camera, "online", since_seconds))

    def offline(self, since_seconds: float, reason: str = "timed_out") -> None:
        self.reports.on_health(Health(self.feed.camera, "offline", since_seconds, reason))

    def see(self, start_seconds: float, captured_seconds: float = 0.0) -> Clip:
        """Hand over a clip that starts at a Unix time."""
        clip = make_clip(
            start_seconds,
            camera=self.feed.camera,
            captured_seconds=captured_seconds,
            first_index=self.next_index,
            replay=not self.feed.live,
        )
        self.next_index += len(clip.frames)
        self.latest_frame = clip.frames[-1]
        self.outlet.offer(clip)
        return clip


class FakeCameras:
    """Opens fake cameras and remembers the newest of each name."""

    def __init__(self) -> None:
        self.opened: list[FakeCamera] = []

    def __call__(
        self, feed: Feed, first_index: int, outlet: Mailbox[Clip], reports: Reports
    ) -> CameraThread:
        camera = FakeCamera(feed, first_index, outlet, reports)
        self.opened.append(camera)
        return camera

    def __getitem__(self, name: str) -> FakeCamera:
        return next(one for one in reversed(self.opened) if one.feed.camera == name)


def make_plan(name: str = "front", **changes: object) -> CameraPlan:
    """A camera's plan with default settings; `changes` as in a [[cameras]] table."""
    table = {"name": name, "url": f"rtsp://10.0.0.9/{name}", **changes}
    (plan,) = Settings.model_validate({"cameras": (table,)}).plans()
    return plan


def make_feed(name: str = "front", *, live: bool = True, **changes: object) -> Feed:
    """A feed of that plan."""
    plan = make_plan(name, **changes)
    return Feed(plan, parse_source(plan.url), live=live)


FRONT = CameraName("front")
