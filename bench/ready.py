"""How long `edgewatch run` takes from the start of its process to READY=1."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """\
[service]
data_dir = "{folder}/data"
control_socket = "{folder}/control.sock"
[mqtt]
port = {port}
[[cameras]]
name = "drive"
url = "{video}"
loop = true
"""
LIMIT_SECONDS = 60.0


def seconds_to_ready(video: Path) -> float:
    """Start the daemon with one camera, the built-in engine and broker; stop it when it is ready.

    Raises RuntimeError if it does not get so far.
    """
    with (
        tempfile.TemporaryDirectory() as work,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified,
    ):
        folder = Path(work)
        config, address = folder / "edgewatch.toml", folder / "notify.sock"
        config.write_text(CONFIG.format(folder=folder, port=_free_port(), video=video))
        notified.bind(str(address))
        notified.settimeout(LIMIT_SECONDS)
        began_seconds = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "edgewatch.daemon", "run", "--config", str(config)],
            env={**os.environ, "NOTIFY_SOCKET": str(address), "EDGEWATCH_LOG": "error"},
            stdout=subprocess.DEVNULL,
        ) as daemon:
            try:
                while b"READY=1" not in notified.recv(4096).splitlines():
                    pass
                return time.monotonic() - began_seconds
            except TimeoutError:
                raise RuntimeError(f"the daemon was not ready in {LIMIT_SECONDS:g} s") from None
            finally:
                daemon.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
