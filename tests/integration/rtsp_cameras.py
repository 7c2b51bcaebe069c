"""GStreamer's RTSP server as the cameras of a test: every kind of stream and of trouble."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.conftest import RTSP_SCRIPT, SYSTEM_PYTHON, RtspServer


@dataclass
class RtspCameras(RtspServer):
    """A server with a camera at each of `rtsp_server.STREAMS`; takes orders while it runs."""

    digest: bool = False
    """Digest instead of basic authentication."""
    certificate: Path | None = None
    """PEM with certificate and key: the server speaks RTSPS alone."""
    within: tuple[str, ...] = ()
    """The command that runs it in another network namespace."""
    _orders: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the server and wait until it listens."""
        command = [*self.within, SYSTEM_PYTHON, str(RTSP_SCRIPT), "--port", str(self.port)]
        command += ["--user", self.user, "--password", self.password]
        command += ["--digest"] * self.digest
        command += ["--certificate", str(self.certificate)] * (self.certificate is not None)
        self._process = self._orders = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self._answer())

    def order(self, order: str) -> None:
        """Have an order carried out: see `rtsp_server`."""
        assert self._orders is not None
        assert self._orders.stdin is not None
        self._orders.stdin.write(f"{order}\n")
        self._orders.stdin.flush()
        assert self._answer() == "ok"

    def url(self, *, path: str = "/live", login: str | None = None) -> str:
        """Return the camera's address; `login`: "user:password", the right one by default."""
        address = super().url(path=path, login=login)
        return address.replace("rtsp://", "rtsps://") if self.certificate else address

    def _answer(self) -> str:
        assert self._orders is not None
        assert self._orders.stdout is not None
        line = self._orders.stdout.readline().strip()
        if not line:
            self.stop()
            raise RuntimeError("the RTSP server ended")
        return line


@contextmanager
def running(cameras: RtspCameras) -> Iterator[RtspCameras]:
    """Run a server for as long as the block lasts."""
    cameras.start()
    try:
        yield cameras
    finally:
        cameras.stop()


def self_signed(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that no authority knows, with its key, in one PEM file."""
    certificate, key, both = (folder / name for name in ("cert.pem", "key.pem", "both.pem"))
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        f"-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 "
        f"-keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both
