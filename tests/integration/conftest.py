"""Real servers for the integration tests; a missing program skips with its reason."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.mosquitto import Mosquitto, Subscriber, mosquitto, subscriber
from tests.integration.processes import footage

SYSTEM_PYTHON = "/usr/bin/python3"
RTSP_SCRIPT = Path(__file__).with_name("rtsp_server.py")
RTSP_PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)


@dataclass
class RtspServer:
    """A camera to connect to at `/live`; it can be switched off and, at the same port, on again."""

    user: str = "admin"
    password: str = "hush-hush"
    port: int = 0
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the server and wait until it listens."""
        command = [SYSTEM_PYTHON, str(RTSP_SCRIPT), "--port", str(self.port)]
        command += ["--user", self.user, "--password", self.password]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip().isdecimal():
            self.stop()
            raise RuntimeError("the RTSP server did not start")
        self.port = int(line)

    def stop(self) -> None:
        """End the server; connections break."""
        if self._process is None:
            return
        self._process.communicate()
        self._process = None

    def freeze(self) -> None:
        """Let the server hang: connections stay, nothing is sent."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def url(self, *, path: str = "/live", login: str | None = None) -> str:
        """Return the camera's address; `login`: "user:password", the right one by default."""
        return f"rtsp://{login or f'{self.user}:{self.password}'}@127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="session")
def rtsp_available() -> None:
    """Skip unless GStreamer's RTSP server can be had."""
    check = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); gi.require_version('Gst', '1.0'); "
        "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
        "assert Gst.ElementFactory.find('x264enc')"
    )
    try:
        found = subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, check=False)
    except OSError:
        pytest.skip(f"{SYSTEM_PYTHON} is missing")
    if found.returncode:
        pytest.skip(f"GStreamer's RTSP server is missing: apt install {RTSP_PACKAGES}")


@pytest.fixture
def rtsp_server(rtsp_available: None) -> Iterator[RtspServer]:
    """A running RTSP server."""
    server = RtspServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """A running Mosquitto."""
    async with mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
async def heard(broker: Mosquitto) -> AsyncIterator[Subscriber]:
    """A subscriber that hears everything."""
    async with subscriber(broker.port) as running:
        yield running


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with bursts of anomaly, made once a module."""
    return footage(tmp_path_factory.mktemp("footage") / "bursts.mp4")
